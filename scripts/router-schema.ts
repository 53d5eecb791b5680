/** Writes docs/router.schema.json, the JSON Schema of the file of `netstrata router`, from the schema that checks it. */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { routerJsonSchema } from '../tools/router/config.ts'

const file = join(dirname(fileURLToPath(import.meta.url)), '../docs/router.schema.json')
writeFileSync(file, `${JSON.stringify(routerJsonSchema(), undefined, 2)}\n`)
