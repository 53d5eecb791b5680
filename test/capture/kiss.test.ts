/** Captures of AX.25 over KISS: the same octets at both ends, whatever CRC the line has, and `dump` reads them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { CaptureReader } from '../../src/capture/reader.ts'
import { ax25, cable, ip, ipv4, ms, Simulation, seconds, sockets, stack, tcp, udp } from '../../src/index.ts'
import { decode } from '../../tools/dump/decode.ts'

const folder = mkdtempSync(join(tmpdir(), 'netstrata-kiss-'))
t.teardown(() => rmSync(folder, { recursive: true }))

for (const smack of [true, false]) {
  t.test(smack ? 'SMACK' : 'plain KISS', async (t) => {
    const sim = new Simulation({ seed: 3 })
    const path = join(folder, `${smack}.pcapng`)
    const [near, far] = cable({ medium: 'octets', delay: ms(5) }).map((end, i) => {
      const link = ax25({ call: `NODE-${i + 1}`, smack })
      return sim.boot(`${i}`, stack(end, link, ip(ipv4({ address: `10.0.0.${i + 1}/24` })), sockets(tcp(), udp())))
    })
    const capture = sim.capture(path)
    const pinged = near?.icmp.ping('10.0.0.2', { timeout: 5000 })
    await sim.run(seconds(10))
    t.equal((await pinged)?.outcome, 'reply')
    await capture.stop()
    await sim.close()
    t.ok(far)
    const reader = new CaptureReader()
    const records = reader.push(readFileSync(path))
    t.strictSame([...new Set(records.map(({ interface: { name, linkType } }) => `${name} ${linkType}`))].sort(), [
      '0/kiss 202',
      '1/kiss 202',
    ])
    const seen = (end: string, direction: string): string[] =>
      records
        .filter((record) => record.interface.name === end && record.direction === direction)
        .map(({ octets }) => Buffer.from(octets).toString('hex'))
    t.ok(seen('0/kiss', 'out').length > 5)
    t.strictSame(seen('0/kiss', 'out'), seen('1/kiss', 'in'))
    t.strictSame(seen('1/kiss', 'out'), seen('0/kiss', 'in'))
    const layers = records.map((record) => decode(record))
    t.strictSame([...new Set(layers.map(([kiss]) => kiss?.summary))], ['KISS port 0 data'])
    t.ok(layers.some((all) => all.map(({ protocol }) => protocol).join() === 'KISS,AX.25,ARP'))
    t.ok(
      layers.some((all) =>
        all
          .map(({ protocol }) => protocol)
          .join()
          .startsWith('KISS,AX.25,IPv4,ICMP'),
      ),
    )
    t.strictSame(
      layers.flatMap((all) => all.flatMap(({ faults }) => faults)),
      [],
    )
  })
}
