import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { inflate, unpack } from "../src/model/bytes";

test("bytes behind base64", () => {
  assert.deepEqual([...unpack("AAH/")], [0, 1, 255]);
});

test("deflated text comes back, damaged text does not", async () => {
  const text = JSON.stringify({ name: "naïve ∞ </script>" });
  const packed = deflateSync(text).toString("base64");
  assert.equal(await inflate(packed), text);
  await assert.rejects(inflate(packed.slice(8)));
});
