/** Finds tests of Node's in a checkout, and runs one of them. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { buildSync } from 'esbuild'

/** The longest of those that pass takes a few seconds. */
const LIMIT_MS = 20_000

const FOLDERS = ['parallel', 'sequential']

/** What the runs of one worker share. */
export interface Run {
  /** What `bundlePreload` gave. */
  readonly preload: string
  /** A folder for their files. */
  readonly scratch: string
  /** Of the worker: tests at the same time keep apart by it. */
  readonly id: number
}

/** What became of a run. */
export interface Result {
  readonly passed: boolean
  /** What it printed, and how it ended. */
  readonly said: string
}

/** @returns the tests of a checkout whose file names begin with one of these, in order. */
export function findTests(checkout: string, names: readonly string[]): string[] {
  return FOLDERS.flatMap((folder) => {
    const path = resolve(checkout, 'test', folder)
    return readdirSync(path)
      .filter((file) => /\.m?js$/.test(file) && names.some((name) => file.startsWith(name)))
      .map((file) => join(path, file))
  })
}

/** Makes one file of the preload and all of the library: 400 starts are quicker so. @returns its path. */
export function bundlePreload(folder: string): string {
  const outfile = join(folder, 'preload.mjs')
  buildSync({
    entryPoints: [join(import.meta.dirname, 'preload.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['koffi'],
    sourcemap: 'inline',
  })
  return outfile
}

/** @param side whose sockets it gets. A test that skips itself has not passed. */
export function runTest(file: string, side: 'host' | 'ours', { preload, scratch, id }: Run): Promise<Result> {
  const child = spawn(process.execPath, [...flagsOf(file), '--import', preload, file], {
    cwd: scratch,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that its children end with it.
    detached: true,
    env: {
      ...process.env,
      NETSTRATA_NODE_TESTS: side,
      NODE_TEST_DIR: scratch,
      TEST_THREAD_ID: String(id),
      TEST_COMMON_PORT: String(12_346 + id * 100),
    },
  })
  const output: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (octets: Buffer) => output.push(octets))
  const limit = setTimeout(() => endGroup(child.pid), LIMIT_MS)
  return new Promise((done) => {
    child.on('close', (code, signal) => {
      clearTimeout(limit)
      endGroup(child.pid)
      const text = Buffer.concat(output).toString()
      done({ passed: code === 0 && !/^1\.\.0 # Skipped/m.test(text), said: `${text}${signal ?? `exit ${code}`}` })
    })
  })
}

/** Node's tests name the flags they want in their first lines: `// Flags: --expose-internals`. */
function flagsOf(file: string): string[] {
  const flags = /\/\/ Flags: (.*)$/m.exec(readFileSync(file, 'utf8').slice(0, 3000))?.[1] ?? ''
  return flags.split(/\s+/).filter((flag) => flag.startsWith('--'))
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // They have all ended.
  }
}
