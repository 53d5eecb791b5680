/** The tutorial of routers, as a reader follows it: its shell blocks are run, and print what it says. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { freePorts, PROGRAM } from '../running.ts'

t.setTimeout(600_000)
const root = join(dirname(fileURLToPath(import.meta.url)), '../../..')
const folder = mkdtempSync(join(tmpdir(), 'ns-tutorial-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

interface Block {
  readonly script: string
  /** What the document says it prints; undefined where it says nothing. */
  readonly printed: string | undefined
}

/** Ports of the document become ones that are free; the reader's folder is ours. */
async function blocksOf(document: string): Promise<Block[]> {
  let text = readFileSync(join(root, document), 'utf8').replaceAll('/home/you', folder)
  const written = [...new Set(text.match(/\b7[01]\d\d\b/g))]
  const free = await freePorts(written.length)
  text = text.replace(/\b7[01]\d\d\b/g, (port) => String(free[written.indexOf(port)]))
  const blocks = text.matchAll(/^```sh\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm)
  return [...blocks].map(([, script = '', printed]) => ({ script, printed }))
}

/** Times and counts differ from run to run. */
const steady = (text: string): string =>
  text
    .replace(/[\d.]+(?:\/[\d.]+)*(?= ms)/g, 'T')
    .replace(/\d+ received, [\d.]+% lost/g, (line) => (/^(0|1) received/.test(line) ? line : 'some received'))
    .replace(/(?<=\} )\d+$/gm, 'N')

const MARK = '=== block'

/** A reader waits until what was started answers; a script has to be told. */
function waiting(script: string, before: number): string {
  const started = before + [...script.matchAll(/ &$/gm)].length
  return `${script}\nuntil [ "$(ls "$XDG_RUNTIME_DIR/netstrata" 2>/dev/null | wc -l)" -ge ${started} ]; do sleep 0.1; done\n`
}

t.test('docs/tutorial-router.md', async (t) => {
  const blocks = await blocksOf('docs/tutorial-router.md')
  t.ok(blocks.length > 10, `${blocks.length} blocks`)
  mkdirSync(join(folder, 'bin'))
  const shim = join(folder, 'bin/netstrata')
  writeFileSync(shim, `#!/bin/sh\nexec ${PROGRAM.map((word) => `'${word}'`).join(' ')} "$@"\n`)
  chmodSync(shim, 0o755)
  let started = 0
  const script = blocks.map((block, i) => {
    const ends = block.script.includes('kill ')
    const text = ends || !/ &$/m.test(block.script) ? block.script : waiting(block.script, started)
    started += [...block.script.matchAll(/ &$/gm)].length
    return `echo '${MARK} ${i}'\n${text}`
  })
  const env = {
    ...process.env,
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    XDG_RUNTIME_DIR: folder,
    NO_COLOR: '1',
  }
  const shell = spawn(
    'bash',
    ['-c', `set -e\nexec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${script.join('')}`],
    {
      cwd: folder,
      env,
    },
  )
  t.teardown(() => shell.kill())
  let out = ''
  shell.stdout.on('data', (chunk: Buffer) => {
    out += chunk
  })
  const code = await new Promise((resolve) => shell.on('close', resolve))
  t.equal(code, 0, out)
  const printed = out.split(new RegExp(`^${MARK} \\d+\n`, 'm')).slice(1)
  for (const [i, { script, printed: promised }] of blocks.entries()) {
    if (promised !== undefined) t.equal(steady(printed[i] ?? ''), steady(promised), script)
  }
})
