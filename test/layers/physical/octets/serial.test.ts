import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { serial } from '../../../../layers/physical/octets/serial.ts'
import { poisonReleased } from '../../../../src/kernel/packet.ts'
import { boot } from '../../../../src/runtime/real-time.ts'
import { type PhysicalPair, physicalConformance } from '../../../conformance/physical.ts'
import { delivered } from './delivered.ts'

poisonReleased(true)

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const dir = mkdtempSync(join(tmpdir(), 'netstrata-serial-'))
t.teardown(() => rmSync(dir, { recursive: true }))
let count = 0

/** Two ttys that are wired to each other. */
async function ttys(): Promise<{ near: string; far: string; socat: ChildProcess }> {
  const [near, far] = [join(dir, `near${++count}`), join(dir, `far${count}`)]
  const socat = spawn('socat', [`PTY,link=${near}`, `PTY,link=${far}`], { stdio: 'ignore' })
  while (!existsSync(near) || !existsSync(far)) await sleep(10)
  return { near, far, socat }
}

function hasSocat(): boolean {
  try {
    execFileSync('socat', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function overTtys(): Promise<PhysicalPair> {
  const { near, far, socat } = await ttys()
  const a = await boot(serial({ path: near, baudRate: 115_200 }), 'A')
  const b = await boot(serial(far), 'B')
  let closed: Promise<unknown> | undefined
  return {
    near: a.top,
    far: b.top,
    settle: delivered(a.top, b.top),
    close: async () => {
      closed ??= Promise.all([a.close(), b.close()]).then(() => socat.kill())
      await closed
    },
  }
}

const NEEDS_SOCAT = { skip: hasSocat() ? false : 'needs the package socat' }

t.test('it carries octets', NEEDS_SOCAT, async (t) => {
  await physicalConformance(t, 'a serial line', { make: overTtys, run: true })
  t.ok(count > 0, 'on ttys')
})

t.test('the settings of a tty', NEEDS_SOCAT, async (t) => {
  const { near, socat } = await ttys()
  const stty = (): string => execFileSync('stty', ['-a', '-F', readlinkSync(near)], { encoding: 'utf8' })
  const node = await boot(serial({ path: near, baudRate: 9600, stopBits: 2, rtscts: true }))
  t.match(stty(), /speed 9600.* cs8 .* cstopb.* crtscts.*-icanon.*-echo /s)
  await node.close()
  await t.rejects(boot(serial({ path: near, baudRate: 12_345 })), { code: 'EINVAL', message: /cannot set the line/ })
  socat.kill()
})

t.test('what cannot be opened says why', async (t) => {
  await t.rejects(boot(serial(join(dir, 'none'))), { code: 'ENOENT', message: /no such device/ })
  await t.rejects(boot(serial(dir)), { code: 'EISDIR', message: /is a directory/ })
  await t.rejects(boot(serial('/dev/null')), { code: 'EINVAL', message: /neither a tty nor a pipe/ })
  t.throws(() => serial({}), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => serial({ path: '/dev/x', baudRate: 1 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => serial({ path: '/dev/x', parity: 'mark' as never }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => serial(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
})
