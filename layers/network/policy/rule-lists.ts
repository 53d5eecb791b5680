/**
 * The rules of a policy by what every packet has: its family, its hook and its protocol. Each packet meets those alone that it could
 * fit, in their order, so that the others cost it nothing.
 */
import type { CompiledRule } from './compiled-rule.ts'
import { HOOKS, type PacketKey } from './packet-key.ts'

const PROTOCOLS = 256
const FAMILIES = 2

export class RuleLists {
  /** Of each protocol: which column it has. Those that no rule names have the first. */
  private readonly columns = new Uint16Array(PROTOCOLS)
  /** By column, hook and family. */
  private readonly lists: readonly (readonly CompiledRule[])[]

  constructor(rules: readonly CompiledRule[]) {
    const named = [...new Set(rules.flatMap(({ protocols }) => protocols ?? []))]
    for (const [i, protocol] of named.entries()) this.columns[protocol] = i + 1
    this.lists = [-1, ...named].flatMap((protocol) =>
      HOOKS.flatMap((_, hook) =>
        [false, true].map((isIpv4) => rules.filter((rule) => rule.concerns(hook, isIpv4, protocol))),
      ),
    )
  }

  of({ hookIndex, isIpv4, protocol }: PacketKey): readonly CompiledRule[] {
    const column = this.columns[protocol] as number
    return this.lists[(column * HOOKS.length + hookIndex) * FAMILIES + (isIpv4 ? 1 : 0)] as readonly CompiledRule[]
  }
}
