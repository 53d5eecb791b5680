/** tshark reads the PAUSE frames of a station and of a bridge, and finds the quanta that were meant. */
import { join } from 'node:path'
import t from 'tap'
import { beside, bridge, cable, ethernet, ms, Simulation, stack } from '../../src/index.ts'
import { oracle } from './helpers.ts'
import { folder } from './payload.ts'
import { assertCleanCapture, dissect } from './tshark.ts'

t.setTimeout(600_000)

const GROUP = '01:80:c2:00:00:01'
const FIELDS = ['eth.dst', 'eth.src', 'eth.type', 'macc.opcode', 'macc.pause_time', 'eth.fcs.status', 'frame.len']

t.test('holding, holding on and letting go, over lines with FCS', { skip: oracle('tshark') }, async (t) => {
  const sim = new Simulation({ seed: 1 })
  const [near, far] = [cable(), cable()]
  const address = '02:00:00:00:00:01'
  const ports = beside({ near: near[0], far: far[0] })
  const middle = sim.boot('bridge', stack(ports, bridge({ pause: true }), ethernet({ pause: true }))).top
  const station = sim.boot('A', stack(near[1], ethernet({ address, pause: true }))).top
  sim.boot('B', stack(far[1], ethernet({ pause: true })))
  const path = join(folder(t), 'pause.pcapng')
  const capture = sim.capture(path, { filter: ({ boundary }) => /^[AB]\//.test(boundary) })
  const letGo = station.hold()
  await sim.run(ms(20)) // Half of 65,535 quanta are 16.8 ms.
  letGo()
  await sim.run(ms(1))
  middle.hold()()
  await sim.run(ms(1))
  await sim.close()
  await capture
  const { good, frames } = await assertCleanCapture(t, path)
  t.strictSame([frames, good.fcs], [7, 7])
  const all = await dissect(path, FIELDS)
  const times = (own: boolean) =>
    all.filter((frame) => (frame['eth.src']?.[0] === address) === own).map((frame) => frame['macc.pause_time']?.[0])
  t.strictSame(times(true), ['65535', '65535', '0'], 'of the station; the bridge passes none on')
  t.strictSame(times(false).sort(), ['0', '0', '65535', '65535'], 'of the bridge, by both ports')
  for (const frame of all) {
    t.match(frame, {
      ...{ 'eth.dst': [GROUP], 'eth.type': ['0x8808'], 'macc.opcode': ['0x0001'] },
      ...{ 'eth.fcs.status': ['1'], 'frame.len': ['64'] },
    })
  }
})
