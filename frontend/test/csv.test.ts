import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding } from "../src/model/api";
import { findingsCsv } from "../src/model/csv";

const FINDING = {
  rule: "log-of-zero",
  title: 'A "title", quoted',
  summary: "-Inf of 320",
  forecast: "=1+1",
  op: { op_type: "Log", key: "Log:0", layer: "", source: null },
  first_step: -1,
  last_step: 79,
  count: 23,
  severity: "error",
  certainty: "event",
  fix: { text: "two\nlines", before: "", after: "" },
} as unknown as Finding;

test("cells are quoted, and no cell is a formula", () => {
  assert.equal(
    findingsCsv([FINDING]),
    "rule,title,severity,certainty,first_step,last_step,records,op_type,op,layer,file,line,source,summary,forecast,fix\r\n" +
      `log-of-zero,"A ""title"", quoted",error,event,-1,79,23,Log,Log:0,,,,,'-Inf of 320,'=1+1,"two\nlines"\r\n`,
  );
});

test("no finding leaves the header", () => assert.equal(findingsCsv([]).split("\r\n").length, 2));
