import t from 'tap'
import type { Instant } from '../../src/kernel/clock.ts'
import { Drive, type Pump } from '../../src/kernel/drive.ts'
import type { Timed } from '../../src/kernel/machine.ts'
import { Timers } from '../../src/kernel/timers.ts'

/** A machine whose deadline the test sets, and its owner, on one log. */
class Rig implements Timed, Pump {
  deadline: Instant = Number.POSITIVE_INFINITY
  readonly log: string[] = []
  readonly armed: Instant[] = []
  readonly timers: Timers = new Timers((deadline) => this.armed.push(deadline))
  readonly drive: Drive = new Drive(this, this.timers, this)
  onPump: ((now: Instant) => void) | undefined

  expire(now: Instant): void {
    this.log.push(`expire ${now}`)
    this.deadline = Number.POSITIVE_INFINITY
  }

  pump(now: Instant): void {
    this.log.push(`pump ${now}`)
    this.onPump?.(now)
  }
}

t.test('a run pumps, then arms for the machine’s deadline; expiry pumps again', async (t) => {
  const rig = new Rig()
  rig.onPump = () => {
    rig.deadline = 500
  }
  rig.drive.run(100)
  t.same(rig.log, ['pump 100'])
  t.same(rig.armed, [500])
  rig.onPump = undefined
  rig.timers.advance(499)
  t.equal(rig.log.length, 1)
  rig.timers.advance(500)
  t.same(rig.log, ['pump 100', 'expire 500', 'pump 500'])
  t.equal(rig.timers.size, 0, 'nothing is pending any more')
})

t.test('a deadline that moves later costs nothing until the old one comes', async (t) => {
  const rig = new Rig()
  for (let now = 0; now < 1000; now++) {
    rig.deadline = now + 200
    rig.drive.arm()
    rig.timers.advance(now)
  }
  t.ok(rig.armed.length <= 6, `armed ${rig.armed.length} times for 1000 moves`)
  t.same(rig.log, [])
  rig.timers.advance(1198)
  t.same(rig.log, [])
  rig.timers.advance(1199)
  t.same(rig.log, ['expire 1199', 'pump 1199'], 'exactly at the last deadline')
})

t.test('a deadline that moves earlier is met', async (t) => {
  const rig = new Rig()
  rig.deadline = 10_000
  rig.drive.arm()
  rig.deadline = 300
  rig.drive.arm()
  t.same(rig.armed, [10_000, 300])
  rig.timers.advance(300)
  t.same(rig.log, ['expire 300', 'pump 300'])
})

t.test('a deadline taken back does not fire', async (t) => {
  const rig = new Rig()
  rig.deadline = 300
  rig.drive.arm()
  rig.deadline = Number.POSITIVE_INFINITY
  rig.drive.arm()
  rig.timers.advance(1000)
  t.same(rig.log, [])
  t.equal(rig.timers.size, 0)
})

t.test('calls back into the drive while it runs fold into the outer run', async (t) => {
  const rig = new Rig()
  let depth = 0
  rig.onPump = (now) => {
    t.equal(++depth, 1, 'never two at a time')
    rig.deadline = now + 50
    rig.drive.run(now)
    depth--
  }
  rig.drive.run(0)
  t.same(rig.log, ['pump 0'])
  t.same(rig.armed, [50], 'and it is armed once')
  rig.timers.advance(50)
  t.same(rig.log, ['pump 0', 'expire 50', 'pump 50'])
})

t.test('a pump that throws does not put the drive out of order', async (t) => {
  const rig = new Rig()
  rig.deadline = 100
  rig.onPump = () => {
    throw new Error('a bug above')
  }
  t.throws(() => rig.drive.run(0), { message: 'a bug above' })
  t.same(rig.armed, [100], 'its deadline stands')
  rig.onPump = undefined
  rig.drive.run(1)
  t.same(rig.log, ['pump 0', 'pump 1'])
})

t.test('after stop nothing comes any more', async (t) => {
  const rig = new Rig()
  rig.deadline = 100
  rig.drive.arm()
  rig.drive.stop()
  rig.timers.advance(1000)
  t.same(rig.log, [])
  t.equal(rig.timers.size, 0)
})

t.test('a machine that is always due gets one expiry a turn, and the turn ends', async (t) => {
  const rig = new Rig()
  rig.onPump = () => {
    rig.deadline = 0
  }
  rig.drive.run(10)
  rig.timers.advance(10, rig.timers.nextAge)
  t.same(rig.log, ['pump 10', 'expire 10', 'pump 10'])
})
