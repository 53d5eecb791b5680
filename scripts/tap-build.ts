/**
 * Lets tap generate its test class for the plugins `.taprc` asks for, unless it has. tap does this by itself, but only
 * after the first run has loaded the plugins it came with, and with its TypeScript plugin that run fails.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const root = join(import.meta.dirname, '..')
const built = readFileSync(join(root, 'node_modules/@tapjs/test/test-built/dist/esm/index.js'), 'utf8')
const { plugin }: { plugin: string[] } = parse(readFileSync(join(root, '.taprc'), 'utf8'))
const unwanted = plugin.filter((name) => name.startsWith('!')).map((name) => name.slice(1))

if (unwanted.some((name) => built.includes(`from "${name}"`) || built.includes(`from '${name}'`))) {
  const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')
  const { status } = spawnSync(process.execPath, [tap, 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  process.exitCode = status ?? 1
}
