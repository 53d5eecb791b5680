/** What one end of an idle connection takes, and what a host does. The ends are in two processes. */
import { execFile } from 'node:child_process'
import dgram from 'node:dgram'
import { promisify } from 'node:util'
import { type Bench, figure, median } from './harness.ts'
import { script, start } from './processes.ts'

const run = promisify(execFile)

export const memory: Bench = async (effort, tell) => {
  const { runs } = effort
  const gate = { bench: 'memory', unit: 'KB', peer: 'one KB', atMost: true } as const
  const small = await repeated(runs, () => connections('small'))
  tell(figure({ ...gate, metric: 'idle connection, small API', target: 2 }, small, 1, effort))
  const net = await repeated(runs, () => connections('net'))
  tell(figure({ ...gate, metric: 'idle socket, node.net', target: 4 }, net, 1, effort))
  const hosts = await repeated(runs, async () => end('hosts'))
  tell(figure({ ...gate, metric: 'booted host without the slab', target: 100 }, hosts, 1, effort))
}

async function repeated(runs: number, measure: () => Promise<number>): Promise<number> {
  const values: number[] = []
  for (let i = 0; i < runs; i++) values.push(await measure())
  return median(values)
}

async function connections(api: 'small' | 'net'): Promise<number> {
  const port = String(await freePort())
  const server = await start(process.execPath, script('memory-end.ts', 'server', port))
  try {
    return await end('client', port, api)
  } finally {
    await server.stop()
  }
}

/** Runs one end. @returns what it printed, in KB. */
async function end(...args: readonly string[]): Promise<number> {
  const { stdout } = await run(process.execPath, ['--expose-gc', ...script('memory-end.ts', ...args)])
  return Number(stdout) / 1024
}

/** A UDP port that nobody uses now. */
async function freePort(): Promise<number> {
  const socket = dgram.createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(resolve))
  return port
}
