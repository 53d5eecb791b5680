import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ms, seconds } from '../../src/kernel/clock.ts'
import type { Env } from '../../src/kernel/env.ts'
import { Timer } from '../../src/kernel/timers.ts'
import { boot } from '../../src/runtime/real-time.ts'
import { LOADER } from '../tools/running.ts'

const bare = (env: Env): Env => env

/** Waits by the node's own timers. */
function wait(env: Env, until: number): Promise<number> {
  const release = env.hold()
  return new Promise((resolve) => {
    const expire = (now: number) => {
      release()
      resolve(now)
    }
    env.timers.arm(new Timer({ expire }), until)
  })
}

function burn(milliseconds: number): void {
  const until = performance.now() + milliseconds
  while (performance.now() < until);
}

/** Runs a program in a process of its own, with `boot`, `Timer` and `seconds` at hand. */
async function program(source: string): Promise<string> {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const script = `
    const { boot } = await import(${url('../../src/runtime/real-time.ts')})
    const { Timer } = await import(${url('../../src/kernel/timers.ts')})
    const { seconds } = await import(${url('../../src/kernel/clock.ts')})
    ${source}`
  return new Promise((resolve, reject) => {
    const options = { timeout: 300_000 }
    execFile(process.execPath, [LOADER, '--input-type=module', '-e', script], options, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`${error.message}\n${stderr}`))
      else resolve(stdout.trim())
    })
  })
}

t.test('timers fire at their deadline or soon after, never before', async (t) => {
  const { top: env } = await boot(bare)
  for (const delay of [0, 300, ms(1), ms(1.5), ms(10), ms(40)]) {
    const late: number[] = []
    for (let i = 0; i < 5; i++) {
      const deadline = env.clock.now() + delay
      late.push((await wait(env, deadline)) - deadline)
    }
    t.ok(Math.min(...late) >= 0, `${late} us late`)
    // A machine may stand still for a while, but not whenever it is looked at.
    t.ok(Math.min(...late) < ms(500), `${late} us late`)
  }
})

t.test('time stands still within a turn, and goes on after it', async (t) => {
  const { top: env } = await boot(bare)
  const seen: number[] = []
  const release = env.hold()
  await new Promise<void>((resolve) => {
    const expire = () => {
      seen.push(env.clock.now())
      burn(3)
      seen.push(env.clock.now())
      resolve()
    }
    env.timers.arm(new Timer({ expire }), env.clock.now())
  })
  release()
  t.equal(seen[1], seen[0])
  t.ok(env.clock.now() >= (seen[0] as number) + ms(3))
})

t.test('work that is always due leaves the event loop its turns: a millisecond at a time', async (t) => {
  const { top: env } = await boot(bare)
  let expiries = 0
  const endless = new Timer({
    expire: (now) => {
      expiries++
      burn(0.2)
      env.timers.arm(endless, now)
    },
  })
  env.timers.arm(endless, env.clock.now())
  const counts: number[] = []
  for (let i = 0; i < 50; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    counts.push(expiries)
    expiries = 0
  }
  env.timers.cancel(endless)
  t.ok(
    counts.every((count) => count <= 6),
    counts.join(' '),
  )
  t.ok(
    counts.some((count) => count >= 2),
    'and not one thing a turn',
  )
})

t.test('a turn that called the application ends, so that it gets its own', async (t) => {
  const { top: env } = await boot(bare)
  const log: string[] = []
  let left = 3
  const busy = new Timer({
    expire: (now) => {
      log.push('stack')
      env.touched()
      void Promise.resolve().then(() => log.push('application'))
      if (--left > 0) env.timers.arm(busy, now)
    },
  })
  env.timers.arm(busy, env.clock.now())
  while (log.length < 6) await new Promise((resolve) => setImmediate(resolve))
  t.same(log, ['stack', 'application', 'stack', 'application', 'stack', 'application'])
})

t.test('idle is idle', async (t) => {
  const { top: env } = await boot(bare)
  await sleep(50)
  const far = new Timer({ expire: () => t.fail('not yet') })
  env.timers.arm(far, env.clock.now() + seconds(3600))
  const before = process.cpuUsage()
  const end = await wait(env, env.clock.now() + ms(400))
  const { user, system } = process.cpuUsage(before)
  t.ok(user + system < 200_000, `${(user + system) / 1000} ms of work in 400 ms`)
  t.ok(end > 0)
  env.timers.cancel(far)
})

t.test('an earlier deadline overtakes the wake-up that was set', async (t) => {
  const { top: env } = await boot(bare)
  const log: string[] = []
  const start = env.clock.now()
  const late = wait(env, start + ms(300))
  const early = wait(env, start + ms(20)).then(() => log.push('early'))
  // However late the event loop is, it takes its timeouts in their order.
  await Promise.all([early, sleep(150).then(() => log.push('between')), late])
  t.same(log, ['early', 'between'])
})

t.test('chance is the operating system’s', async (t) => {
  const { top: env } = await boot(bare)
  const random = env.random('any')
  const words = Array.from({ length: 2000 }, () => random.uint32())
  t.ok(new Set(words).size > 1990)
  t.ok(words.every((word) => Number.isInteger(word) && word >= 0 && word <= 0xffff_ffff))
  const octets = [random.octets(16), random.octets(16)].map((octets) => Buffer.from(octets).toString('hex'))
  t.equal(new Set(octets).size, 2)
})

t.test('timers do not keep the process alive; whoever holds it does, until all let go', async (t) => {
  const [timers, held] = await Promise.all([
    program(`
      const { top: env } = await boot((env) => env)
      env.timers.arm(new Timer({ expire() { console.log('fired') } }), env.clock.now() + seconds(60))
      console.log('booted')`),
    program(`
      const { top: env } = await boot((env) => env)
      const one = env.hold(), two = env.hold()
      const expire = () => { console.log('fired'); one(); one(); setTimeout(() => { console.log('let go'); two() }, 50).unref() }
      env.timers.arm(new Timer({ expire }), env.clock.now() + seconds(0.1))`),
  ])
  t.equal(timers, 'booted')
  t.equal(held, 'fired\nlet go')
})

t.test('what is due now is done before the process ends, also when an earlier wake-up is overdue', async (t) => {
  const output = await program(`
    const { top: env } = await boot((env) => env)
    const say = (text) => new Timer({ expire() { console.log(text) } })
    env.timers.arm(say('overdue'), env.clock.now() + seconds(0.1))
    setTimeout(() => {
      for (const until = performance.now() + 200; performance.now() < until; );
      env.timers.arm(say('due'), env.clock.now())
    }, 10)`)
  t.equal(output, 'overdue\ndue')
})

t.test('an exception in an event is the process’s to deal with, and stops nothing else', async (t) => {
  const output = await program(`
    process.on('uncaughtException', (error) => console.log('caught', error.message))
    const { top: env } = await boot((env) => env)
    const release = env.hold()
    const at = env.clock.now() + seconds(0.02)
    env.timers.arm(new Timer({ expire() { throw new Error('a bug') } }), at)
    env.timers.arm(new Timer({ expire() { console.log('next'); release() } }), at)`)
  t.equal(output, 'caught a bug\nnext')
})
