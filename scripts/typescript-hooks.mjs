/**
 * How a module of this project is found and read, as hooks of Node's. What a file becomes is kept in `node_modules/.cache`,
 * one entry a file, which ends with the hash of what it was made from, and how.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { threadId } from 'node:worker_threads'

const root = join(import.meta.dirname, '..')
const kept = join(root, 'node_modules/.cache/netstrata')
/** The source of what `imports` in package.json names as it is built. */
const CRC32 = new URL('../layers/datalink/crc32/node.ts', import.meta.url).href

/** How a file becomes a module. */
const OPTIONS = {
  loader: 'ts',
  target: 'node20',
  sourcemap: 'inline',
  sourcesContent: false,
  tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
}

/** A path that names its file needs no search; the name of a package does. */
export function resolve(specifier, context, nextResolve) {
  if (specifier === '#crc32') return { url: CRC32, shortCircuit: true }
  if (!/^(?:\.|\/|file:).*\.ts$/.test(specifier)) return nextResolve(specifier, context)
  return { url: new URL(specifier, context.parentURL).href, shortCircuit: true }
}

/** @returns the module, or a promise of it where hooks have a thread of their own. */
export function load(url, context, nextLoad) {
  if (!url.endsWith('.ts')) return nextLoad(url, context)
  const path = fileURLToPath(url)
  const typed = readFileSync(path, 'utf8')
  const hash = `//${createHash('sha1').update(JSON.stringify(OPTIONS)).update(typed).digest('hex')}`
  const entry = join(kept, relative(root, path).replaceAll('/', '+'))
  const before = read(entry)
  if (before.endsWith(hash)) return asModule(before)

  const keep = ({ code }) => {
    mkdirSync(kept, { recursive: true })
    // Others read it meanwhile: they see all of it or nothing.
    const whole = `${entry}.${process.pid}.${threadId}`
    writeFileSync(whole, `${code}${hash}`)
    renameSync(whole, entry)
    return asModule(code)
  }
  // Loaded here, as most processes find all they need.
  const { transform, transformSync } = createRequire(import.meta.url)('esbuild')
  const options = { ...OPTIONS, sourcefile: basename(path) }
  if (module.registerHooks === undefined) return transform(typed, options).then(keep)
  return keep(transformSync(typed, options))
}

function asModule(source) {
  return { format: 'module', source, shortCircuit: true }
}

/** @returns what the entry holds; nothing when there is none. */
function read(entry) {
  try {
    return readFileSync(entry, 'utf8')
  } catch {
    return ''
  }
}
