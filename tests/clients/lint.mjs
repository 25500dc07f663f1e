// What `redocly lint` does with its recommended rules: prints every error, a line each. Usage: node lint.mjs openapi.json
import { createConfig, lint } from "@redocly/openapi-core"

const config = await createConfig({ extends: ["recommended"] })
const problems = await lint({ ref: process.argv[2], config })
for (const { severity, ruleId, message, location } of problems)
  if (severity === "error") console.log(`${ruleId}: ${message} ${location[0].pointer}`)
