/** What the frames of a link go by, as its description has it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import {
  type Blueprint,
  type BridgedMedia,
  type BridgeOptions,
  type BridgeService,
  beside,
  bridge,
  impair,
  type Layer,
  lengthPrefix,
  ms,
  NetError,
  type OctetStream,
  type PhysicalService,
  rawIp,
  seconds,
  stack,
  stream,
  tapDevice,
  udpTunnel,
} from '../../src/index.ts'
import { hostPortText } from '../host-port.ts'
import { Doorway, WATCHED } from './doorway.ts'
import type { BridgeSpec, DeviceSpec, EthernetSpec, HostPort, StreamSpec, UdpSpec, VdeSpec } from './link-spec.ts'

/** A link to a program that was started again is there again as soon. */
const REOPEN = seconds(1)
/** Who connects to us is let in at once. */
const NEXT_GUEST = ms(100)
/** How long who listens has to answer: a reload waits for that, and the link that is to be replaced is gone already. */
const ANSWER_MS = 10_000
const VDE_LENGTH_OCTETS = 2

/** The medium of a link of Ethernet, without what impairs it. @param bridged what makes it where it is a bridge. */
export function ethernetMedium(
  spec: EthernetSpec | BridgeSpec,
  bridged: (options: BridgeOptions) => Layer<BridgedMedia, BridgeService> = bridge,
): Blueprint<PhysicalService<'ethernet'>> {
  switch (spec.type) {
    case 'tap':
      return tapDevice(deviceOptions(spec))
    case 'udp':
      return udpTunnel(tunnelOptions(spec))
    case 'stream':
      return stack(streamOf(spec), lengthPrefix(mtuOf(spec)))
    case 'vde':
      return stack(
        stream(() => plugged(spec), { reopen: REOPEN }),
        lengthPrefix({ octets: VDE_LENGTH_OCTETS, ...mtuOf(spec) }),
      )
    case 'etherip':
      return rawIp({ peer: spec.peer, ...mtuOf(spec) })
    case 'bridge':
      return stack(portsOf(spec), bridged(bridgeOptions(spec)))
  }
}

function portsOf({ ports }: BridgeSpec): Blueprint<Record<string, PhysicalService<'ethernet'>>> {
  const media = Object.entries(ports).map(([name, port]) => {
    const medium = ethernetMedium(port)
    return [name, port.impairment === undefined ? medium : stack(medium, impair(port.impairment))] as const
  })
  return beside(Object.fromEntries(media))
}

function bridgeOptions({ ageing, stations, storm, pause }: BridgeSpec): BridgeOptions {
  return {
    ...(ageing === undefined ? {} : { ageing }),
    ...(stations === undefined ? {} : { stations }),
    ...(storm === undefined ? {} : { stormLimit: storm }),
    ...(pause === undefined ? {} : { pause }),
  }
}

function streamOf({ at, listen }: StreamSpec): Blueprint<PhysicalService<'octets'>> {
  if (!listen) return dialled(at)
  return (env) => {
    const doorway = new Doorway(at)
    env.starting(doorway.open())
    env.defer(() => doorway.close())
    return stream(() => doorway.next(), { reopen: NEXT_GUEST, wait: false })(env)
  }
}

/** Who listens there, and again when he has gone. */
export const dialled =
  (at: string | HostPort): Blueprint<PhysicalService<'octets'>> =>
  (env) => {
    const closing = new AbortController()
    env.defer(() => closing.abort())
    return stream(() => connected(at, ANSWER_MS, closing.signal), { reopen: REOPEN })(env)
  }

/** @throws Error ECONNREFUSED, ENOENT, … NetError ETIMEDOUT — nobody has answered. AbortError — `closing` has been aborted. */
export async function connected(
  at: string | HostPort,
  limitMs: number = ANSWER_MS,
  closing?: AbortSignal,
): Promise<Socket> {
  const socket = typeof at === 'string' ? connect(at) : connect({ ...at, ...WATCHED })
  const late = AbortSignal.timeout(limitMs)
  try {
    await once(socket, 'connect', { signal: closing === undefined ? late : AbortSignal.any([late, closing]) })
    return socket
  } catch (error) {
    socket.on('error', () => {}).destroy()
    const where = typeof at === 'string' ? at : hostPortText(at.host, at.port)
    const details = { syscall: 'connect', cause: error }
    if (late.aborted) throw new NetError('ETIMEDOUT', `nobody answers at ${where} within ${limitMs / 1000} s`, details)
    const code = codeOf(error)
    if (code !== 'ECONNREFUSED' && code !== 'ENOENT') throw error
    throw new NetError(code, `nobody listens at ${where}: start that end of the link first`, details)
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)

/** A switch is spoken to through a program of its own. @throws NetError ENOENT — that is not installed, or there is no switch. */
async function plugged(spec: VdeSpec): Promise<OctetStream> {
  // The program would start, and then end.
  if (!isSwitch(spec.switch)) {
    throw new NetError(
      'ENOENT',
      `there is no switch at ${spec.switch}: start it first, as 'vde_switch -s ${spec.switch}'`,
    )
  }
  const plug = spawn('vde_plug', [spec.switch], { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    await once(plug, 'spawn')
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') throw cause
    throw new NetError('ENOENT', "VDE needs the program vde_plug, of Debian's package vde2", { cause })
  }
  plug.stdin.once('close', () => plug.kill())
  return { readable: plug.stdout, writable: plug.stdin }
}

/** A folder with the socket of its controls, or, of older ones, that socket itself. */
const isSwitch = (path: string): boolean =>
  existsSync(join(path, 'ctl')) || statSync(path, { throwIfNoEntry: false })?.isSocket() === true

/** Of TAP and TUN. */
export function deviceOptions({ device, netns, vnetHdr, ...spec }: DeviceSpec): Parameters<typeof tapDevice>[0] {
  return { name: device, vnetHdr, ...(netns === undefined ? {} : { netns }), ...mtuOf(spec) }
}

/** A tunnel without peers waits for them: whoever sends first becomes one. */
function tunnelOptions({
  local,
  peers,
  codec,
  engine,
  vni,
  l2tpv3,
  ...spec
}: UdpSpec): Parameters<typeof udpTunnel>[0] {
  const given = {
    ...(engine === undefined ? {} : { engine }),
    ...(l2tpv3 === undefined ? {} : { l2tpv3 }),
    ...mtuOf(spec),
  }
  return { local, peers, codec, vni, learnPeers: peers.length === 0, ...given }
}

const mtuOf = ({ mtu }: { readonly mtu: number | undefined }): { readonly mtu?: number } =>
  mtu === undefined ? {} : { mtu }
