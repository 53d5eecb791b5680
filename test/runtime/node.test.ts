import t from 'tap'
import { type Clock, ms } from '../../src/kernel/clock.ts'
import type { Env } from '../../src/kernel/env.ts'
import { NetError } from '../../src/kernel/errors.ts'
import { beside, stack } from '../../src/kernel/stack.ts'
import { Cleanups, waitInRealTime } from '../../src/runtime/cleanups.ts'
import { boot } from '../../src/runtime/real-time.ts'
import { Simulation } from '../../src/runtime/simulation.ts'
import { echo } from './doubles.ts'

const clock: Clock = { now: () => performance.now() * 1000 }
const real = { clock, waitFor: waitInRealTime }
const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

t.test('cleanups', async (t) => {
  t.test('run newest first, each waiting for the one before', async (t) => {
    const log: string[] = []
    const cleanups = new Cleanups()
    cleanups.add(() => void log.push('oldest'))
    cleanups.add(async () => {
      await tick()
      log.push('slow')
    })
    const forgotten = () => void log.push('forgotten')
    cleanups.add(forgotten)
    cleanups.add(() => void log.push('newest'))
    cleanups.delete(forgotten)
    await cleanups.run('it', real, ms(1000))
    t.same(log, ['newest', 'slow', 'oldest'])
  })

  t.test('run once, however often they are told to; later calls wait for the same end', async (t) => {
    let runs = 0
    let over = false
    const cleanups = new Cleanups()
    cleanups.add(async () => {
      runs++
      await tick()
      over = true
    })
    const first = cleanups.run('it', real, ms(1000))
    await cleanups.run('it', real, ms(1000))
    t.equal(over, true)
    await first
    t.equal(runs, 1)
  })

  t.test('one failure is thrown as it is, several together, and nothing is left out', async (t) => {
    const one = new Cleanups()
    let ran = 0
    one.add(() => void ran++)
    one.add(() => {
      throw new NetError('EIO', 'the disk is gone')
    })
    one.add(() => void ran++)
    await t.rejects(one.run('it', real, ms(1000)), { code: 'EIO' })
    t.equal(ran, 2)
    const two = new Cleanups()
    two.add(() => Promise.reject(new Error('later')))
    two.add(() => {
      throw new Error('sooner')
    })
    const error: unknown = await two.run('it', real, ms(1000)).catch((error: unknown) => error)
    t.ok(error instanceof AggregateError)
    t.same((error as AggregateError).errors.map(String), ['Error: sooner', 'Error: later'])
  })

  t.test('one limit for all: what hangs is left, the rest runs', async (t) => {
    const log: string[] = []
    const cleanups = new Cleanups()
    cleanups.add(() => void log.push('last'))
    cleanups.add(() => new Promise<void>(() => {}))
    cleanups.add(() => new Promise<void>(() => {}))
    const started = performance.now()
    await t.rejects(cleanups.run('A', real, ms(50)), { code: 'ETIMEDOUT', message: /closing A took longer than 50 ms/ })
    t.ok(performance.now() - started < 60_000)
    t.same(log, ['last'])
  })

  t.test('what is deferred while closing still runs, and after the end at once', async (t) => {
    const log: string[] = []
    const cleanups = new Cleanups()
    cleanups.add(() => cleanups.add(() => void log.push('meanwhile')))
    await cleanups.run('it', real, ms(1000))
    t.same(log, ['meanwhile'])
    cleanups.add(() => void log.push('too late'))
    t.same(log, ['meanwhile', 'too late'])
  })
})

t.test('boot', async (t) => {
  t.test('names the node, waits for its start, and closes at the end of the block', async (t) => {
    const log: string[] = []
    {
      await using node = await boot(
        stack(echo(), (below, env) => {
          env.starting(tick().then(() => void log.push('started')))
          env.defer(() => void log.push('closed'))
          return below
        }),
        { name: 'A', hosts: { db: '10.0.0.5' } },
      )
      t.equal(node.name, 'A')
      t.same(log, ['started'])
      t.same(
        node.boundaries.map(({ name }) => name),
        ['A/echo'],
      )
      t.equal((await boot(echo())).name, 'node')
      t.equal((await boot(echo(), 'B')).name, 'B')
    }
    t.same(log, ['started', 'closed'])
  })

  t.test('a layer that throws unwinds those below it before boot rejects', async (t) => {
    let free = false
    const below = (env: Env) => {
      env.defer(async () => {
        await tick()
        free = true
      })
      return undefined
    }
    const broken = stack(below, () => {
      throw new NetError('EINVAL', 'an impossible layer')
    })
    await t.rejects(boot(broken), { code: 'EINVAL' })
    t.equal(free, true)
  })

  t.test('a start that fails closes what had started, and its reason is the one told', async (t) => {
    let closed = 0
    const blueprint = (env: Env) => {
      env.starting(Promise.resolve())
      env.starting(Promise.reject(new NetError('EADDRINUSE', 'the port is taken')))
      env.defer(() => {
        closed++
        throw new Error('and closing fails too')
      })
    }
    await t.rejects(boot(blueprint), { code: 'EADDRINUSE' })
    t.equal(closed, 1)
  })

  t.test('a start that starts something else is waited for to its end', async (t) => {
    let second = false
    const blueprint = (env: Env) => {
      const later = async () => {
        await tick()
        const then = async () => {
          await tick()
          second = true
        }
        env.starting(then())
      }
      env.starting(later())
    }
    await using _node = await boot(blueprint)
    t.equal(second, true)
  })

  t.test('refuses names that would be ambiguous, and hosts that are no addresses', async (t) => {
    await t.rejects(boot(echo(), 'a/b'), { code: 'ERR_INVALID_ARG_VALUE' })
    await t.rejects(boot(echo(), ''), { code: 'ERR_INVALID_ARG_VALUE' })
    const sim = new Simulation()
    t.throws(() => sim.boot('a/b', echo()), { code: 'ERR_INVALID_ARG_VALUE' })
  })
})

t.test('boundaries: scopes in names, numbers for repeated ones, counters in snapshots', async (t) => {
  const sim = new Simulation()
  const node = sim.boot('R', beside({ eth0: echo('cable'), eth1: beside({ in: echo('cable'), out: echo() }) }))
  t.same(
    node.boundaries.map(({ name }) => name),
    ['R/eth0/cable', 'R/eth1/in/cable', 'R/eth1/out/echo'],
  )
  node.top.eth0.say(1, 2, 3)
  node.top.eth0.boundary.attach({ receive: (packet) => packet.release() })
  node.top.eth0.say(4)
  t.same(node.snapshot()[0], {
    name: 'R/eth0/cable',
    txPackets: 2,
    txOctets: 4,
    rxPackets: 2,
    rxOctets: 4,
    drops: { unheard: 1 },
  })
  const twice = sim.boot('T', (env) => [echo()(env), echo()(env)])
  t.same(
    twice.boundaries.map(({ name }) => name),
    ['T/echo', 'T/echo#2'],
  )
  await sim.close()
})

t.test('parts come and go while a node runs', async (t) => {
  const log: string[] = []
  const part = (env: Env) => {
    env.starting(tick().then(() => void log.push(`${env.scope} started`)))
    env.defer(() => void log.push(`${env.scope} closed`))
    return echo()(env)
  }
  const sim = new Simulation()
  const node = sim.boot('R', (env) => env.defer(() => void log.push('node closed')))
  const eth0 = await node.attach('eth0', part)
  t.equal(eth0.name, 'R/eth0')
  await t.rejects(node.attach('eth0', part), { code: 'ERR_INVALID_ARG_VALUE' })
  await node.attach('eth1', part)
  t.same(
    node.boundaries.map(({ name }) => name),
    ['R/eth0/echo', 'R/eth1/echo'],
  )
  await eth0.close()
  t.same(log.splice(0), ['eth0 started', 'eth1 started', 'eth0 closed'])
  t.same(
    node.boundaries.map(({ name }) => name),
    ['R/eth1/echo'],
  )
  await node.attach('eth0', part)
  const failing = (env: Env) => {
    env.defer(() => void log.push('undone'))
    env.starting(Promise.reject(new NetError('EACCES', 'not allowed')))
  }
  await t.rejects(node.attach('eth2', failing), { code: 'EACCES' })
  t.same(log.splice(0), ['eth0 started', 'undone'])
  await node.attach('eth2', part)
  await node.close()
  t.same(log, ['eth2 started', 'eth2 closed', 'eth0 closed', 'eth1 closed', 'node closed'])
})
