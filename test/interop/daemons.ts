/** The program as a user has it, for tests of its daemon: routers in network namespaces, and commands that ask them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import { Commands, type Running } from '../tools/running.ts'
import { type Cleaning, type Namespace, run } from './helpers.ts'

const root = join(import.meta.dirname, '../..')

/** Where modules are found, and what the repository does not keep. */
const SHELF = join(root, '.tap')

const bundles = new Map<string, string>()

/**
 * The program in one file, of the sources as they are: it starts in a quarter of the time that its sources take through a loader, and these
 * tests start it some hundred times. The file goes with this process.
 */
function program(shelf: string): string {
  const made = bundles.get(shelf)
  if (made !== undefined) return made
  mkdirSync(shelf, { recursive: true })
  const folder = mkdtempSync(join(shelf, 'program-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const how = { bundle: true, packages: 'external', platform: 'node', format: 'esm', target: 'node20' } as const
  const outfile = join(folder, 'cli.mjs')
  buildSync({ ...how, entryPoints: [join(root, 'tools/cli.ts')], outfile, logLevel: 'error' })
  bundles.set(shelf, outfile)
  return outfile
}

/** The routers of a test: their files and control sockets are in a folder that goes with it, and so do they. */
export class Daemons {
  readonly commands: Commands
  readonly folder: string
  private readonly program: readonly string[]

  /** @param shelf where the program is: it finds packages that are installed there, besides the project's. */
  constructor(t: Cleaning, shelf: string = SHELF) {
    // The runner of the tests would look into each process; a user's has none.
    this.program = ['env', '-u', 'NODE_OPTIONS', process.execPath, program(shelf)]
    this.commands = new Commands(t, this.program)
    this.folder = this.commands.folder
  }

  /** The path of the file of a router. */
  fileOf(name: string): string {
    return join(this.folder, `${name}.yaml`)
  }

  /** Writes the file of a router. What is in it is JSON, which is YAML, too. */
  write(name: string, configuration: object): void {
    writeFileSync(this.fileOf(name), JSON.stringify({ name, ...configuration }, undefined, 2))
  }

  /** Starts `netstrata router` in a namespace. Settles when it forwards. @throws Error — it has ended, with what it said. */
  async start(inside: Namespace, name: string, configuration: object, ...options: string[]): Promise<Running> {
    this.write(name, configuration)
    const args = ['router', '--config', this.fileOf(name), ...options]
    const router = this.commands.start(args, undefined, ['ip', 'netns', 'exec', inside.name])
    await router.said(/"forwarding"/)
    return router
  }

  /** Runs a command on a terminal of this width. @returns the lines it shows. */
  async shown(width: number, ...args: readonly string[]): Promise<string[]> {
    const command = ['env', `XDG_RUNTIME_DIR=${this.folder}`, 'NO_COLOR=1', ...this.program, ...args]
    const quoted = command.map((word) => `'${word}'`).join(' ')
    const { code, output } = await run('script', '-qec', `stty cols ${width}; ${quoted}`, '/dev/null')
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${output}`)
    return output.split('\r\n').filter((line) => line !== '')
  }

  /** Runs a command with `--json`. @returns what it printed, an object a line. @throws Error — it did not end with `code`. */
  async ask(args: readonly string[], code = 0): Promise<Told[]> {
    const ended = await this.commands.run(...args, '--json')
    if (ended.code !== code) throw new Error(`${args.join(' ')} ended with ${ended.code}: ${ended.out}${ended.err}`)
    return ended.out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  }
}

/** An object that a command printed. */
// biome-ignore lint/suspicious/noExplicitAny: what stands in it is what the tests are about.
export type Told = Record<string, any>
