/**
 * The code of README and docs: every block is held against the types of the project, and those that are whole programs, by
 * their imports, are run.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import * as everything from '../../src/index.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
t.setTimeout(600_000)

/** What fragments may take for granted: all exports, the names of Node's modules, and a node. */
const PRELUDE = `
import net from 'node:net'
import http from 'node:http'
import type { Node, Sockets } from 'netstrata'
import { ${Object.keys(everything).sort().join(', ')} } from 'netstrata'
declare const node: Node<Sockets>
`

interface Block {
  /** 'README.md:12' */
  readonly place: string
  /** Of the program made of it. */
  readonly file: string
  readonly code: string
  readonly whole: boolean
}

function blocksOf(document: string): Block[] {
  const text = readFileSync(join(root, document), 'utf8')
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(({ 1: code = '', index }) => {
    const line = text.slice(0, index).split('\n').length + 1
    const whole = /^import .* from 'netstrata/m.test(code)
    const file = `${document.replace(/\W/g, '-')}-${line}.ts`
    return { place: `${document}:${line}`, file, code: whole ? code : PRELUDE + code, whole }
  })
}

const documents = ['README.md', ...readdirSync(join(root, 'docs')).map((file) => `docs/${file}`)]
// The sketch in there is one on purpose.
const blocks = documents.filter((document) => document !== 'docs/architecture.md').flatMap(blocksOf)

// Within the project, so that its modules are found.
const shelf = join(root, '.tap')
mkdirSync(shelf, { recursive: true })
const folder = mkdtempSync(join(shelf, 'documents-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const configuration = join(folder, 'tsconfig.json')
writeFileSync(
  configuration,
  JSON.stringify({
    extends: '../../tsconfig.json',
    compilerOptions: {
      // Fragments leave things unused, and programs of documents export nothing.
      noUnusedLocals: false,
      noUnusedParameters: false,
      isolatedDeclarations: false,
      declaration: false,
      paths: {
        '#crc32': ['../../layers/datalink/crc32/node.ts'],
        netstrata: ['../../src/index.ts'],
        'netstrata/register': ['../../src/register.ts'],
        'netstrata/testing': ['../../src/testing.ts'],
        'netstrata/kernel': ['../../src/kernel/index.ts'],
      },
    },
    include: ['*.ts'],
  }),
)
for (const { file, code } of blocks) writeFileSync(join(folder, file), `${code}\nexport {}\n`)

interface Ended {
  readonly code: number | null
  readonly output: string
}

async function run(...args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, TSX_TSCONFIG_PATH: configuration, NO_COLOR: '1' }
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  const timer = setTimeout(() => child.kill('SIGKILL'), 300_000)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearTimeout(timer)
  return { code, output }
}

t.test('every block has the types it claims', async (t) => {
  t.ok(blocks.length >= 12, `${blocks.length} blocks`)
  const { code, output } = await run(join(root, 'node_modules/typescript/lib/tsc.js'), '-p', configuration)
  t.equal(code, 0, output)
})

/** What whole programs print; a program that is not here runs to its end in silence. */
const PRINTS: readonly [RegExp, RegExp][] = [
  [/N0CALL/, /^reply\n$/],
  [/made it/, /^connected at \d{7,} us\n$/],
  [/of this node/, /^of this node\n$/],
  [/to B and back/, /^to B and back\n$/],
  [/received === 100_000/, /^true \d+\n$/],
]

for (const { place, file, code, whole } of blocks) {
  // It serves until it is stopped; examples/http-over-udp.ts is the same with an end.
  if (!whole || /udpTunnel\(/.test(code)) continue
  t.test(`${place} runs`, async (t) => {
    const ended = await run(`--import=${import.meta.resolve('tsx')}`, join(folder, file))
    t.equal(ended.code, 0, ended.output)
    t.match(ended.output, PRINTS.find(([words]) => words.test(code))?.[1] ?? /^$/)
  })
}
