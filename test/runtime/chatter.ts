/** Three nodes that say random things at random times, and an application that answers; prints the run's fingerprint. */
import { pathToFileURL } from 'node:url'
import { ms, seconds } from '../../src/kernel/clock.ts'
import { below } from '../../src/kernel/random.ts'
import { Timer } from '../../src/kernel/timers.ts'
import { Simulation } from '../../src/runtime/simulation.ts'
import { echo } from './doubles.ts'

export async function chatter(seed: number): Promise<string> {
  await using sim = new Simulation({ seed })
  const fingerprint = sim.fingerprint()
  for (const name of ['A', 'B', 'C']) {
    const { top, env } = sim.boot(name, echo())
    const random = env.random('chatter')
    const talk = new Timer({
      expire: (now) => {
        top.say(below(random, 256), below(random, 256))
        env.timers.arm(talk, now + below(random, ms(20)))
      },
    })
    env.timers.arm(talk, 0)
    const answer = async () => {
      for (;;) {
        await sim.sleep(below(random, ms(50)))
        top.say(0)
      }
    }
    void answer()
  }
  await sim.run(seconds(2))
  return `${fingerprint.packets} ${fingerprint.value}`
}

const [, script, seed] = process.argv
if (script !== undefined && import.meta.url === pathToFileURL(script).href) console.log(await chatter(Number(seed)))
