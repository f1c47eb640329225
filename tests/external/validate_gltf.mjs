// Runs the Khronos glTF-Validator over GLB files.
//
//     npm install gltf-validator
//     node validate_gltf.mjs FILE.glb…
//
// Prints one line a file and every message; ends with code 1 when there is an error or a warning.
// Not part of the test command: it needs Node and a package from npm.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import path from "node:path";

// Found from the folder in which the script is run, where npm put it.
const require = createRequire(path.join(process.cwd(), "package.json"));
const validator = require("gltf-validator");

let failed = false;
for (const file of process.argv.slice(2)) {
  const bytes = new Uint8Array(readFileSync(file));
  const report = await validator.validateBytes(bytes, { uri: file, maxIssues: 20 });
  const { numErrors, numWarnings, numInfos, numHints, messages } = report.issues;
  console.log(
    `${file}: ${numErrors} errors, ${numWarnings} warnings, ${numInfos} infos, ${numHints} hints`,
  );
  for (const { code, message, pointer } of messages) {
    console.log(`  ${code} ${pointer ?? ""}: ${message}`);
  }
  failed ||= numErrors > 0 || numWarnings > 0;
}
process.exit(failed ? 1 : 0);
