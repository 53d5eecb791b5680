/** Servers and clients of DHCP that others wrote, in namespaces. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cleaning, type Namespace, namespace } from './helpers.ts'

function script(folder: string, name: string, lines: readonly string[]): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${lines.join('\n')}\nexit 0\n`)
  chmodSync(path, 0o755)
  return path
}

/** Takes an address and a default route on x0 by busybox's client. @returns what it was given, in words. */
export async function udhcpc({ run }: Namespace, folder: string): Promise<string> {
  const hook = script(folder, 'udhcpc', [
    '[ "$1" = bound ] || exit 0',
    'ip addr add $ip/$mask dev $interface && ip route add default via $router',
    'echo "$ip/$mask router $router dns $dns domain $domain lease $lease"',
  ])
  return (await run('busybox', 'udhcpc', '-f', '-q', '-n', '-t', '20', '-i', 'x0', '-s', hook)).output
}

/** Takes an address of a /24 and a default route on x0 by ISC's client. @returns what it says. */
export async function dhclient({ run }: Namespace, folder: string): Promise<string> {
  const hook = script(folder, 'dhclient', [
    '[ "$reason" = BOUND ] || exit 0',
    'ip addr add $new_ip_address/24 dev $interface && ip route add default via $new_routers',
  ])
  const files = ['-lf', join(folder, 'dhclient.leases'), '-pf', join(folder, 'dhclient.pid')]
  return (await run('dhclient', '-1', '-v', '-sf', hook, ...files, 'x0')).output
}

/** A provider: dnsmasq at 10.9.0.1 gives addresses from 10.9.0.50 to 10.9.0.59 to whoever takes the TAP device x0. */
export interface Provider {
  readonly up: Namespace
  /** The address it has given to a station; undefined when there is none. */
  leaseOf(mac: string): string | undefined
}

/** @param folder where it keeps its leases. */
export async function provider(t: Cleaning, folder: string): Promise<Provider> {
  const up = namespace(t)
  up.ip('tuntap', 'add', 'dev', 'x0', 'mode', 'tap')
  up.ip('addr', 'add', '10.9.0.1/24', 'dev', 'x0')
  up.ip('link', 'set', 'x0', 'up')
  const leases = join(folder, 'leases')
  await up.start(
    /DHCP, IP range/,
    'dnsmasq',
    ...['-k', '--conf-file=/dev/null', '--user=root', '--pid-file=', '--log-facility=-', '--no-resolv', '--no-hosts'],
    ...['--interface=x0', '--bind-interfaces', '--except-interface=lo', '--no-ping', '--port=0'],
    ...[`--dhcp-leasefile=${leases}`, '--dhcp-range=10.9.0.50,10.9.0.59,120'],
  )
  return {
    up,
    leaseOf: (mac) => new RegExp(` ${mac} (10\\.9\\.0\\.5\\d) `).exec(readFileSync(leases, 'utf8'))?.[1],
  }
}
