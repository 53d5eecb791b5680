/**
 * Shell lines: what sets up the machine under test. Here that is the node's TCP: `defaults.sh` and `net.ipv4` sysctls mean
 * something, what concerns a tun device or a cache that the node has not is passed over, all else is not supported.
 */
import { Unsupported } from '../failure.ts'
import type { Sysctls } from './sysctl.ts'

/** Settings of `defaults.sh` that every script of the Google suite begins with. */
const DEFAULTS: readonly (readonly [name: string, value: string])[] = [
  ['tcp_rmem', '4096 540000 15728640'],
  ['tcp_wmem', '4096 262144 4194304'],
  ['tcp_timestamps', '1'],
  ['tcp_syn_retries', '5'],
  ['tcp_synack_retries', '5'],
  ['tcp_frto', '2'],
  ['tcp_sack', '1'],
  ['tcp_dsack', '1'],
  ['tcp_fack', '0'],
  ['tcp_reordering', '3'],
  ['tcp_congestion_control', 'cubic'],
  ['tcp_slow_start_after_idle', '0'],
  ['tcp_early_retrans', '4'],
  ['tcp_recovery', '1'],
  ['tcp_tso_win_divisor', '3'],
  ['tcp_ecn', '0'],
  ['tcp_syncookies', '1'],
  ['tcp_fastopen', '0x70403'],
  ['tcp_fastopen_key', 'a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4'],
]

/** Without effect on a node with one link of its own and no caches between scripts. */
const HARMLESS: readonly RegExp[] = [
  /^$/,
  /^(?:true|:|echo|modprobe|ethtool)(?: [^>|]*)?$/,
  // Looking at the machine is not judged: packets and calls are.
  /^(?:nstat|grep|cat|ss|netstat|ip (?:-[46] )?(?:route|link|addr) show)\b[^>]*$/,
  /^tc qdisc (?:add|replace|del|delete) dev tun0 root(?: (?:p?fifo|fq))?$/,
  /^ip tcp_metrics flush\b/,
  // Both ways of Linux's HyStart to leave slow start, which is its default.
  /^echo [13] > \/sys\/module\/tcp_cubic\/parameters\/hystart(?:_detect)?$/,
  /sysctl_restore_/,
]

/** Bounds of the machine, and what IPv6 does about links, routers and neighbours, which a script does not see. */
const ELSEWHERE = /^net\.(?:core|ipv6\.(?:conf\.\w+\.(?!hop_limit)|neigh|route|ip6frag_|icmp))/

const SETTINGS = /^(?:sysctl|\S*set_sysctls\.py)\s/

/** @throws Unsupported — a line that would have an effect we cannot give it. */
export function runShell(text: string, line: number, sysctls: Sysctls): void {
  for (const raw of text.replace(/\\\n/g, ' ').split(/\n|;|&&/)) {
    const command = raw
      .replace(/(?:^|\s)#.*/, '')
      .replace(/\d?>\s*(?:&\d|\/dev\/null)/g, '')
      .trim()
      .replace(/\s+/g, ' ')
    const [, echoed, path] = /^echo (\S+) > (\/proc\/sys\/\S+)$/.exec(command) ?? []
    if (path !== undefined) setAll(`${path}=${echoed}`, line, sysctls)
    else if (/defaults\.sh$/.test(command)) for (const [name, value] of DEFAULTS) sysctls.set(name, value, line)
    else if (SETTINGS.test(`${command} `)) setAll(command, line, sysctls)
    else if (!HARMLESS.some((pattern) => pattern.test(command)))
      throw new Unsupported(line, `the shell line ${command}`)
  }
}

/** Products of numbers: `$((32*1024*1024))`. */
const computed = (value: string): string =>
  value.replace(/\$\(\(([\d\s*]+)\)\)/g, (_, factors: string) =>
    String(factors.split('*').reduce((product, factor) => product * Number(factor), 1)),
  )

/** `sysctl -q net.ipv4.a=1 net.ipv4.b="1 2"` and `set_sysctls.py /proc/sys/net/ipv4/a=1`. */
function setAll(command: string, line: number, sysctls: Sysctls): void {
  for (const [, key = '', quoted, plain] of command.matchAll(/([\w./]+)\s?=\s?(?:"([^"]*)"|(\S+))/g)) {
    const name = key.replace(/^\/proc\/sys\//, '').replaceAll('/', '.')
    if (ELSEWHERE.test(name)) continue
    if (!name.startsWith('net.ipv4.')) throw new Unsupported(line, `the sysctl ${name}`)
    sysctls.set(name.slice('net.ipv4.'.length), computed(quoted ?? plain ?? ''), line)
  }
}
