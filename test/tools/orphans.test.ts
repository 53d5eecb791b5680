/** Commands that a test has started end with it, also when it is killed. */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import t from 'tap'
import { LOADER } from './running.ts'

/** A test that starts a server, and says which process and folder that has. */
const TEST = `
import { Commands } from ${JSON.stringify(new URL('./running.ts', import.meta.url))}
const commands = new Commands({ teardown() {} })
const ear = commands.start(['nc', '-l', '7', '--link', 'udp:127.0.0.1:0', '--address', '10.0.0.1/24'], '')
await ear.said(/listening/)
console.log(JSON.stringify({ pid: ear.child.pid, folder: commands.folder }))
`

t.test('a test that is killed', { timeout: 600_000 }, async (t) => {
  const test = spawn(process.execPath, [LOADER, '--input-type=module', '-e', TEST], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface(test.stdout)[Symbol.asyncIterator]()
  const { pid, folder } = JSON.parse((await lines.next()).value ?? '{}') as { pid: number; folder: string }
  t.ok(runs(pid))
  test.kill('SIGKILL')
  const patience = AbortSignal.timeout(300_000)
  while (runs(pid) && !patience.aborted) await new Promise((resolve) => setTimeout(resolve, 20))
  const left = runs(pid)
  if (left) process.kill(pid, 'SIGKILL')
  t.notOk(left, 'the server has ended')
  rmSync(folder, { recursive: true, force: true })
})

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
