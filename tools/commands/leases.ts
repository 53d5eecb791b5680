/** `netstrata leases`: the addresses that the DHCP servers of a running router have given away. */
import type { Command } from 'commander'
import { ask } from '../control/client.ts'
import type { Output } from '../output.ts'
import type { LinkLease } from '../router/router.ts'
import { mustSpeakOf, records, registerQuestion } from './question.ts'

export function registerLeases(program: Command): void {
  registerQuestion(program, 'leases', 'show the addresses a router has given away by DHCP', show, '@router')
}

async function show(node: string, output: Output): Promise<void> {
  const leases = (await ask(node, 'leases')) as LinkLease[]
  if (output.json) return records(leases, output)
  if (leases.length === 0)
    await mustSpeakOf(node, 'a DHCP server', ({ services }) => services.some(({ kind }) => kind === 'DHCP server'))
  output.table(
    ['address', 'link', 'mac', 'state', 'left', 'name'],
    leases.map(({ address, link, hardware: mac, state, secondsLeft, hostName: name }) => ({
      ...{ address, link, mac, state, left: secondsLeft > 0 ? `${secondsLeft} s` : '', name },
    })),
  )
}
