/** A bird that speaks RIPv2 and RIPng, for tests of ours beside it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Namespace } from './helpers.ts'

/** bird on `x0`; it announces what is on the loopback. @returns its control socket. */
export async function ripBird(inside: Namespace, folder: string, number: number): Promise<string> {
  const file = join(folder, `bird${number}.conf`)
  const families = [
    ['ipv4', 'rip', 'version 2;'],
    ['ipv6', 'rip ng', ''],
  ].map(
    ([family, protocol, version]) =>
      `protocol kernel { ${family} { export where source = RTS_RIP; }; }
       protocol ${protocol} {
         ${family} { import all; export all; };
         interface "x0" { ${version} mode multicast; update time 2; timeout time 6; garbage time 6; };
       }`,
  )
  writeFileSync(
    file,
    `router id 10.255.0.${number};
     protocol device { scan time 1; }
     protocol direct { ipv4; ipv6; interface "lo"; }
     ${families.join('\n')}`,
  )
  const control = join(folder, `bird${number}.ctl`)
  const words = ['bird', '-f', '-c', file, '-s', control, '-P', join(folder, `bird${number}.pid`)]
  await inside.start(/started/, 'sh', '-c', 'echo started; exec "$@"', 'sh', ...words)
  return control
}
