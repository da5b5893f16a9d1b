import assert from "node:assert/strict";
import { test } from "node:test";
import { EmbeddedSource, HttpSource, routeKey, SourceError } from "../src/source";

test("a route's key does not depend on the order of its parameters", () => {
  assert.equal(routeKey("op", { run: "a b", op: "x/Log:0", step: 3 }), "op?op=x%2FLog%3A0&run=a%20b&step=3");
  assert.equal(routeKey("op", { step: 3, op: "x/Log:0", run: "a b" }), "op?op=x%2FLog%3A0&run=a%20b&step=3");
  assert.equal(routeKey("overview", { run: "a", session: null, step: undefined, x: "" }), "overview?run=a");
  assert.equal(routeKey("runs"), "runs");
  assert.equal(routeKey("op", { step: 0 }), "op?step=0");
});

test("a report answers with the page's own step where it lacks the one asked for", async () => {
  const source = new EmbeddedSource({ "op?op=Log%3A0&run=a": 1, "op?op=Log%3A0&run=a&step=5": 2 });
  assert.equal(await source.get("op", { run: "a", op: "Log:0", step: 5 }), 2);
  assert.equal(await source.get("op", { run: "a", op: "Log:0", step: 6 }), 1);
  assert.equal(await source.get("op", { run: "a", op: "Log:0" }), 1);
  await assert.rejects(source.get("op", { run: "b", op: "Log:0" }), SourceError);
});

test("a server's failures become sentences", async (context) => {
  const answer = (status: number, body: string) => async () => new Response(body, { status });
  const fetches = context.mock.method(globalThis, "fetch", answer(200, '{"a": 1}'));
  assert.deepEqual(await new HttpSource().get("runs"), { a: 1 });

  fetches.mock.mockImplementation(
    answer(404, '{"error": {"code": 404, "message": "There is no run \\"x\\"."}}'),
  );
  await assert.rejects(new HttpSource().get("runs"), { code: 404, message: 'There is no run "x".' });

  fetches.mock.mockImplementation(answer(502, "<html>Bad gateway"));
  await assert.rejects(new HttpSource().get("runs"), {
    code: 502,
    message: "TensorBoard answered with status 502.",
  });

  fetches.mock.mockImplementation(async () => Promise.reject(new TypeError("failed")));
  await assert.rejects(new HttpSource().get("runs"), { code: 0 });
});
