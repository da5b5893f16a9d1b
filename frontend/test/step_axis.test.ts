import assert from "node:assert/strict";
import { test } from "node:test";
import { labelled } from "../src/model/step_axis";

test("every column has a label where there is room", () => {
  assert.deepEqual(labelled(3, 600), [0, 1, 2]);
  assert.deepEqual(labelled(1, 600), [0]);
  assert.deepEqual(labelled(0, 600), []);
});

test("labels keep their distance, and the last column always has one", () => {
  // 640 pixels have room for ten: every tenth of a hundred columns, but for one too close to the last.
  assert.deepEqual(labelled(100, 640), [0, 10, 20, 30, 40, 50, 60, 70, 80, 99]);
  assert.deepEqual(labelled(400, 0).length, 1);
});
