/** ICMP: echo, the errors we send and those we believe. */
import { NetworkAddressing } from '../../../../layers/network/service.ts'
import { Packet } from '../../../../src/kernel/packet.ts'
import { bare, datagram, type Fields, hex, ICMP, icmp } from './bare.ts'
import { drops, pattern, referenceChecksum } from './stand.ts'

bare('echo is answered, in place and in kind', async (t, { wire, network }) => {
  const echo = icmp(8, 0, 0x1234_0001, pattern(57))
  wire.inject(datagram({ protocol: ICMP, payload: echo, ttl: 5, options: [1, 1, 1, 1] }))
  const reply = wire.sent[0] as Uint8Array
  t.equal(hex(reply.subarray(12, 20)), '0a0000010a000002')
  t.equal(referenceChecksum(reply.subarray(20)), 0)
  t.strictSame(reply.subarray(20), icmp(0, 0, 0x1234_0001, pattern(57)))
  wire.inject(datagram({ protocol: ICMP, payload: echo, destination: '10.0.0.255' }), 'broadcast')
  wire.inject(datagram({ protocol: ICMP, payload: echo.slice(0, 20) }))
  wire.inject(datagram({ protocol: ICMP, payload: echo.slice(0, 7) }))
  wire.inject(datagram({ protocol: ICMP, payload: icmp(13, 0, 0, pattern(12)) }))
  wire.inject(datagram({ protocol: ICMP, payload: icmp(5, 1, 0x0a00_0009, datagram()) }))
  wire.inject(datagram({ protocol: ICMP, payload: icmp(0, 0, 1, pattern(3)) }))
  t.equal(wire.sent.length, 1)
  const expected = { icmpBroadcastEcho: 1, icmpChecksum: 1, icmpShort: 1, icmpType: 1, icmpRedirect: 1, icmpNoUser: 1 }
  t.strictSame(drops(network), expected)
})

bare('errors are about packets only that may be complained about', async (t, { wire, network }) => {
  const unknown = (fields: Fields) => {
    wire.sent.length = 0
    wire.inject(datagram({ protocol: 99, ...fields }), fields.destination === undefined ? 'unicast' : 'broadcast')
    return wire.sent.length
  }
  t.equal(unknown({}), 1)
  t.equal(unknown({ destination: '10.0.0.255' }), 0, 'not about broadcasts')
  t.equal(unknown({ destination: '255.255.255.255' }), 0)
  t.equal(unknown({ destination: '224.0.0.1' }), 0, 'nor multicasts')
  const from = new NetworkAddressing()
  const refuse = (octets: Uint8Array) => {
    wire.sent.length = 0
    const packet = Packet.take(0, octets.length)
    packet.append(octets)
    packet.networkStart = packet.pull(20)
    network.refuse(packet, from, 'portUnreachable')
    return wire.sent.length
  }
  t.equal(refuse(datagram()), 1)
  t.equal(refuse(datagram({ flags: 1 })), 0, 'nor any but the first fragment')
  t.equal(refuse(datagram({ protocol: ICMP, payload: icmp(3, 3, 0, datagram()) })), 0, 'nor errors')
  t.equal(refuse(datagram({ protocol: ICMP, payload: icmp(8, 0, 0, pattern(4)) })), 1, 'but queries')
  for (const source of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '10.0.0.255']) {
    t.equal(refuse(datagram({ source, destination: '10.0.0.5' })), 0, `nor to ${source}`)
  }
  t.equal(refuse(datagram({ payload: pattern(3000) })), 1)
  const error = wire.sent[0] as Uint8Array
  t.equal(error.length, 576, 'no longer than 576 octets')
  t.equal(referenceChecksum(error.subarray(20)), 0)
  t.strictSame(error.subarray(28), datagram({ payload: pattern(3000) }).subarray(0, 548))
})

bare(
  'errors are rationed',
  async (t, { wire, sim }) => {
    const flood = () => {
      wire.sent.length = 0
      for (let i = 0; i < 40; i++) wire.inject(datagram({ protocol: 99 }))
      return wire.sent.length
    }
    t.equal(flood(), 3, 'a burst')
    await sim.run(1_000_000)
    t.equal(flood(), 2, 'then so many a second')
  },
  { errors: { perSecond: 2, burst: 3 } },
)

bare('what errors mean is what Linux has its sockets told', async (t, { wire, sink }) => {
  sink.send('192.0.2.7', pattern(1))
  const quoted = datagram({ source: '10.0.0.1', destination: '192.0.2.7', flags: 0x4000, payload: pattern(8) })
  const meaning = (type: number, code: number) => {
    sink.reports.length = 0
    wire.inject(datagram({ source: '192.0.2.254', protocol: ICMP, payload: icmp(type, code, 0, quoted) }))
    return sink.reports.map((report) => `${report.code}${report.hard ? '' : ', may pass'}`).join()
  }
  const expected = [
    'ENETUNREACH, may pass',
    'EHOSTUNREACH, may pass',
    'ENOPROTOOPT',
    'ECONNREFUSED',
    'EMSGSIZE',
    'ENOTSUP, may pass',
    'ENETUNREACH',
    'EHOSTDOWN',
    'ENONET',
    'ENETUNREACH',
    'EHOSTUNREACH',
    'ENETUNREACH, may pass',
    'EHOSTUNREACH, may pass',
    'EHOSTUNREACH',
    'EHOSTUNREACH',
    'EHOSTUNREACH',
  ]
  t.strictSame(
    expected.map((_, code) => meaning(3, code)),
    expected,
  )
  t.equal(meaning(11, 0), 'EHOSTUNREACH, may pass')
  t.equal(meaning(11, 1), 'EHOSTUNREACH, may pass')
  t.equal(meaning(12, 0), 'EPROTO, may pass')
})

bare('errors of others are believed as far as they can be true', async (t, { wire, network, sink, sim }) => {
  const report = (payload: Uint8Array) => {
    sink.reports.length = 0
    wire.inject(datagram({ source: '192.0.2.254', protocol: ICMP, payload }))
    return sink.reports.length
  }
  const ours = (fields: Fields = {}) =>
    datagram({ source: '10.0.0.1', destination: '192.0.2.7', flags: 0x4000, payload: pattern(1000), ...fields })
  const mtu = () => {
    sink.send('192.0.2.7', pattern(1))
    return sink.path.mtu
  }
  t.equal(report(icmp(3, 3, 0, ours().subarray(0, 28))), 0, 'we sent nothing there')
  t.equal(mtu(), 1500)
  t.equal(report(icmp(3, 3, 0, ours().subarray(0, 28))), 1)
  t.match(sink.reports, [{ code: 'ECONNREFUSED', reason: 'portUnreachable', from: '192.0.2.254', quote: pattern(8) }])
  t.equal(report(icmp(3, 3, 0, ours().subarray(0, 27))), 0, 'too short a quote')
  t.equal(report(icmp(3, 3, 0, ours({ source: '10.0.0.9' }))), 0, 'not our source')
  t.equal(report(icmp(3, 3, 0, ours({ version: 6 }))), 0)
  t.equal(report(icmp(3, 16, 0, ours())), 0, 'an unknown code')
  t.equal(report(icmp(4, 0, 0, ours())), 0, 'source quench is no longer an error (RFC 6633)')
  t.equal(report(icmp(12, 0, 0, ours())), 1)
  t.equal(sink.reports[0]?.code, 'EPROTO')

  report(icmp(3, 4, 1400, ours()))
  t.equal(mtu(), 1500, 'a packet of 1020 octets fits into 1400')
  report(icmp(3, 4, 900, ours({ flags: 0 })))
  t.equal(mtu(), 1500, 'one without DF is not in the way')
  report(icmp(3, 4, 0, ours()))
  t.equal(mtu(), 1006, 'without a figure: the next plateau')
  report(icmp(3, 4, 900, ours()))
  t.equal(mtu(), 900)
  report(icmp(3, 4, 1000, ours()))
  t.equal(mtu(), 900, 'no report widens a path')
  report(icmp(3, 4, 68, ours()))
  t.equal(mtu(), 552, 'and no report narrows it below what we care for')
  wire.sent.length = 0
  sink.send('192.0.2.7', pattern(1000), { dontFragment: true })
  t.strictSame(
    wire.sent.map((octets) => octets[6] as number),
    [0x20, 0x00],
    'then it may be fragmented',
  )
  await sim.run(601_000_000)
  t.equal(mtu(), 1500)
  t.equal(drops(network).icmpQuote, 4)
})
