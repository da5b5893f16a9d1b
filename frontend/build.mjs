// Builds tb_numstab/static from src. With --check, proves instead that what is committed there is what src gives.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const STATIC = new URL("../tb_numstab/static/", import.meta.url);
const MAX_SCRIPT_BYTES = 160 * 1024;
/** Packages whose code ends up in the bundle; their licences ask for their notice to travel with it. */
const BUNDLED = ["preact", "uplot"];

async function bundle() {
  const result = await build({
    absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
    entryPoints: { index: "src/index.tsx", style: "src/styles/index.css" },
    outdir: "out",
    write: false,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
  });
  const files = new Map(result.outputFiles.map((f) => [f.path.replace(/^.*[\\/]/, ""), f.text]));
  files.set("licenses.txt", await licenses());
  return files;
}

async function licenses() {
  const texts = BUNDLED.map(async (name) => {
    const text = await readFile(new URL(`node_modules/${name}/LICENSE`, import.meta.url), "utf8");
    return `${name}\n${"-".repeat(name.length)}\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join("\n");
}

const files = await bundle();
const scriptBytes = Buffer.byteLength(files.get("index.js"));
if (scriptBytes > MAX_SCRIPT_BYTES) {
  throw new Error(`index.js has ${scriptBytes} bytes, more than the ${MAX_SCRIPT_BYTES} allowed`);
}
for (const [name, text] of files) {
  if (process.argv.includes("--check")) {
    const committed = await readFile(new URL(name, STATIC), "utf8").catch(() => "");
    if (committed !== text) {
      throw new Error(`tb_numstab/static/${name} is not what src builds: run "npm run build" and commit it`);
    }
  } else {
    await writeFile(new URL(name, STATIC), text);
  }
}
console.log(
  [...files].map(([name, text]) => `${name} ${(Buffer.byteLength(text) / 1024).toFixed(1)} KiB`).join(", "),
);
