/**
 * Who may know whom: docs/architecture.md's table as data. Never a sibling protocol, never upward, never two tiers down.
 * The first rule whose pattern matches a file governs it; `$1` stands for what the pattern's group matched.
 */

export interface ImportRule {
  readonly name: string
  readonly files: RegExp
  /** Prefixes of paths from the root, ending in '/' or '-'; paths, with or without '.ts'; specifiers; 'node:' for all of Node's. */
  readonly may: readonly string[]
}

const KERNEL = 'src/kernel/'
const NODE = 'node:'

/** What the protocols of one tier share. */
const MEDIA = [
  'layers/physical/service.ts',
  'layers/physical/line.ts',
  'layers/physical/cut.ts',
  'layers/physical/medium.ts',
]
/** Framing is below the links of the HDLC family, as the tier below is: what PPP, LAPB and AX.25 put their frames on. */
const LINKS = ['layers/datalink/service.ts', 'layers/datalink/fcs.ts', 'layers/datalink/framing/', '#crc32']
const NETWORKS = [
  'layers/network/service.ts',
  'layers/network/family.ts',
  'layers/network/neighbours.ts',
  'layers/network/neighbour-cache.ts',
  'layers/network/resolution.ts',
  'layers/network/routes.ts',
  'layers/network/rules.ts',
  'layers/network/family-rules.ts',
  'layers/network/flow.ts',
  'layers/network/backpressure.ts',
  'layers/network/membership/',
  'layers/network/nat/',
  'layers/network/policy/',
  'layers/network/prefix-trie.ts',
  'layers/network/reverse-path.ts',
  'layers/network/clamp-mss.ts',
  'layers/network/error-meaning.ts',
  'layers/network/error-rate.ts',
  'layers/network/local.ts',
  'layers/network/path-mtu.ts',
  'layers/network/reassembly.ts',
  'layers/network/segments.ts',
  'layers/network/tcp-option.ts',
  'layers/network/transport-checksum.ts',
]

export const IMPORTS: readonly ImportRule[] = [
  { name: 'the kernel knows nothing but itself', files: /^src\/kernel\//, may: [KERNEL] },
  {
    name: 'the parts of the API that are shaped like Node use Node',
    files: /^src\/api\/(?:node-|streams|host-sockets)/,
    may: [KERNEL, 'src/api/', NODE],
  },
  { name: 'the API knows the kernel', files: /^src\/api\//, may: [KERNEL, 'src/api/'] },
  {
    name: "the capture's file end uses Node",
    files: /^src\/capture\/file\.ts$/,
    may: [KERNEL, 'src/capture/', NODE],
  },
  {
    name: 'the capture knows the kernel, and the offload, since it shows the wire',
    files: /^src\/capture\//,
    may: [KERNEL, 'src/capture/', 'layers/offload/'],
  },
  {
    name: 'the runtimes know all of src but its front doors',
    files: /^src\/runtime\//,
    may: [KERNEL, 'src/api/', 'src/capture/', 'src/runtime/', NODE],
  },
  {
    name: 'the front doors know everything but the tools',
    files: /^src\/(?:index\.ts$|(?:register|testing)(?:\.ts$|\/))/,
    may: ['src/', 'layers/', NODE],
  },
  { name: 'the offload knows the kernel', files: /^layers\/offload\//, may: [KERNEL, 'layers/offload/'] },

  {
    name: 'the browser-safe index of the physical tier knows its tier',
    files: /^layers\/physical\/(?:index|node)\.ts$/,
    may: ['layers/physical/'],
  },
  { name: 'the physical service knows the kernel', files: /^layers\/physical\/service\.ts$/, may: [KERNEL] },
  {
    name: 'libc alone knows koffi',
    files: /^layers\/physical\/libc(?:\.ts$|\/)/,
    may: [KERNEL, 'layers/physical/libc/', NODE, 'koffi'],
  },
  {
    name: 'raw IP alone knows raw-socket',
    files: /^layers\/physical\/raw-ip(?:\.ts$|\/)/,
    may: [
      KERNEL,
      ...MEDIA,
      'layers/physical/libc.ts',
      'layers/offload/',
      'layers/physical/raw-ip/',
      NODE,
      'raw-socket',
    ],
  },
  {
    name: 'a serial line in memory is a cable with noise',
    files: /^layers\/physical\/serial-line\.ts$/,
    may: [KERNEL, ...MEDIA, 'layers/physical/cable.ts'],
  },
  {
    name: 'a medium that needs no machine needs no Node',
    files: /^layers\/physical\/(loopback|cable|hub|impair|line|cut|medium)(?:\.ts$|\/)/,
    may: [KERNEL, ...MEDIA, 'layers/offload/', 'layers/physical/$1'],
  },
  {
    name: 'TAP and TUN are one driver',
    files: /^layers\/physical\/t[au][pn]-/,
    may: [
      KERNEL,
      ...MEDIA,
      'layers/physical/libc.ts',
      'layers/physical/readable.ts',
      'layers/offload/',
      'layers/physical/tap-',
      'layers/physical/tun-',
      NODE,
    ],
  },
  {
    name: 'a medium knows the kernel, the offload and Node',
    files: /^layers\/physical\/([\w-]+?)(?:\.ts$|\/)/,
    may: [
      KERNEL,
      ...MEDIA,
      'layers/physical/libc.ts',
      'layers/physical/readable.ts',
      'layers/offload/',
      'layers/physical/$1',
      NODE,
    ],
  },

  { name: 'the index of a tier knows its tier', files: /^layers\/(\w+)\/index\.ts$/, may: ['layers/$1/'] },

  {
    name: 'the data link service knows the kernel',
    files: /^layers\/datalink\/service\.ts$/,
    may: [KERNEL],
  },
  { name: "Node's CRC comes from zlib", files: /^layers\/datalink\/crc32\/node\.ts$/, may: ['node:zlib'] },
  { name: 'the portable CRC knows nothing', files: /^layers\/datalink\/crc32\//, may: [] },
  {
    name: 'a data link knows the tier below; PPP knows digests, without which there is no CHAP',
    files: /^layers\/datalink\/(ppp)\//,
    may: [KERNEL, 'layers/physical/service.ts', ...LINKS, 'layers/datalink/$1', '@noble/hashes/'],
  },
  {
    name: 'a bridge knows the offload, too: what it sends on may be a super-segment',
    files: /^layers\/datalink\/(ethernet)\/bridge/,
    may: [KERNEL, 'layers/physical/service.ts', 'layers/offload/', 'layers/datalink/$1'],
  },
  {
    name: 'a data link knows the tier below',
    files: /^layers\/datalink\/([\w-]+?)(?:\.ts$|\/)/,
    may: [KERNEL, 'layers/physical/service.ts', ...LINKS, 'layers/datalink/$1', 'buffer-layout'],
  },

  {
    name: 'the network service knows the kernel, its control and the links it stands on',
    files: /^layers\/network\/service\.ts$/,
    may: [KERNEL, 'src/api/routes.ts', 'layers/datalink/service.ts', 'layers/network/membership/source-filter.ts'],
  },
  {
    name: 'what joins the families knows what they share, and none of them',
    files: /^layers\/network\/(?:ip|control|family|flow|neighbours|prefix-trie|reverse-path|routes)\.ts$/,
    may: [
      KERNEL,
      'layers/offload/',
      'src/api/routes.ts',
      'src/api/rules.ts',
      'layers/datalink/service.ts',
      ...NETWORKS,
      'layers/network/address-conflicts.ts',
      'layers/network/control.ts',
      'layers/network/link-indices.ts',
    ],
  },
  {
    name: 'a network protocol knows the tier below',
    files: /^layers\/network\/([\w-]+?)(?:\.ts$|\/)/,
    may: [
      KERNEL,
      'layers/offload/',
      'src/api/routes.ts',
      'src/api/rules.ts',
      'layers/datalink/service.ts',
      ...NETWORKS,
      'layers/network/$1',
      'buffer-layout',
    ],
  },

  {
    name: 'the transport service is the API',
    files: /^layers\/transport\/service\.ts$/,
    may: [KERNEL, 'src/api/sockets.ts'],
  },
  {
    name: 'what joins the transports knows echo, which is always there, and none of those it is given',
    files: /^layers\/transport\/sockets\.ts$/,
    may: [
      KERNEL,
      'src/api/routes.ts',
      'src/api/sockets.ts',
      'layers/network/service.ts',
      'layers/transport/service.ts',
      'layers/transport/source.ts',
      'layers/transport/wildcard.ts',
      'layers/transport/icmp/',
    ],
  },
  {
    name: 'a transport knows the tier below, and the API',
    files: /^layers\/transport\/([\w-]+?)(?:\.ts$|\/)/,
    may: [
      KERNEL,
      'src/api/routes.ts',
      'src/api/sockets.ts',
      'src/api/datagram-options.ts',
      'layers/offload/',
      'layers/network/service.ts',
      'layers/transport/service.ts',
      'layers/transport/ports.ts',
      'layers/transport/wildcard.ts',
      'layers/transport/$1',
    ],
  },

  {
    name: 'what middleware shares knows the kernel and the API',
    files: /^layers\/middleware\/service\.ts$/,
    may: [KERNEL, 'src/api/'],
  },
  {
    name: 'middleware stands on the API, and knows no other middleware',
    files: /^layers\/middleware\/(dhcp)\//,
    may: [KERNEL, 'src/api/routes.ts', 'src/api/sockets.ts', 'layers/middleware/service.ts', 'layers/middleware/$1'],
  },
  {
    name: 'a routing protocol stands on sockets and routes, and knows no other one',
    files: /^layers\/middleware\/routing\/([\w-]+?)(?:\.ts$|\/)/,
    may: [
      KERNEL,
      'src/api/routes.ts',
      'src/api/sockets.ts',
      'layers/middleware/service.ts',
      'layers/middleware/routing/service.ts',
      'layers/middleware/routing/residence.ts',
      'layers/middleware/routing/$1',
      'node:crypto',
      '@noble/hashes/',
    ],
  },

  {
    name: 'packetdrill scripts know what the package exports',
    files: /^test\/packetdrill\//,
    may: [
      'test/packetdrill/',
      'src/index.ts',
      'src/testing.ts',
      'src/kernel/index.ts',
      'layers/physical/index.ts',
      'layers/datalink/index.ts',
      'layers/network/index.ts',
      'layers/transport/index.ts',
      NODE,
      'tap',
    ],
  },
  { name: 'programs and tests know everything', files: /^(?:tools|test|bench|examples|scripts)\//, may: [''] },
]

/** Every file is in a folder of the design, or has no place. */
export function placeFault(path: string): string | undefined {
  return IMPORTS.some(({ files }) => files.test(path))
    ? undefined
    : 'is in no folder of the design: no import rule governs it'
}

/** What is wrong with `path` importing `target`, or undefined. */
export function importFault(path: string, target: string | null): string | undefined {
  const rule = IMPORTS.find(({ files }) => files.test(path))
  if (rule === undefined) return undefined
  const group = rule.files.exec(path)?.[1] ?? ''
  const may = rule.may.map((allowed) => allowed.replace('$1', group))
  if (target === null) return may.includes('') ? undefined : 'loads a module whose name is computed'
  return may.some((allowed) => allows(allowed, target)) ? undefined : `may not import ${target}: ${rule.name}`
}

function allows(allowed: string, target: string): boolean {
  if (allowed === '') return true
  if (allowed === NODE || /[/-]$/.test(allowed)) return target.startsWith(allowed)
  // A protocol is a file, a folder, or both: 'layers/network/ipv4' is ipv4.ts and all of ipv4/.
  return target === allowed || target === `${allowed}.ts` || target.startsWith(`${allowed}/`)
}
