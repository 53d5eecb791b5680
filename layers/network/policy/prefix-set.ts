/** Prefixes of both families, as words and masks: an address is held against those of its own. */
import { type IpAddress, parsePrefix } from '../../../src/kernel/address.ts'
import { maskOf } from '../prefix-trie.ts'

export class PrefixSet {
  /** Pairs of word and mask, int32. */
  private readonly ipv4: readonly number[]
  /** Each four words, and four masks. */
  private readonly ipv6: readonly number[]

  /** @throws TypeError ERR_INVALID_ARG_VALUE — a text is no prefix; `name` says where. */
  constructor(texts: readonly string[], name: string) {
    const prefixes = texts.map((text) => parsePrefix(text, name))
    const of = (isIpv4: boolean) => prefixes.filter(({ address }) => address.isIpv4 === isIpv4)
    this.ipv4 = of(true).flatMap(({ address, length }) => [address.w3 & maskOf(length, 0), maskOf(length, 0)])
    this.ipv6 = of(false).flatMap(({ address: { w0, w1, w2, w3 }, length }) => {
      const masks = [0, 1, 2, 3].map((word) => maskOf(length, word))
      return [...[w0, w1, w2, w3].map((word, i) => word & (masks[i] as number)), ...masks]
    })
  }

  /** Has it any of this family? */
  hasAny(isIpv4: boolean): boolean {
    return (isIpv4 ? this.ipv4 : this.ipv6).length > 0
  }

  /** @param isIpv4 the family of the packet whose address it is. */
  has(address: IpAddress, isIpv4: boolean): boolean {
    return isIpv4 ? this.hasIpv4(address.w3) : this.hasIpv6(address)
  }

  private hasIpv4(word: number): boolean {
    const { ipv4 } = this
    for (let i = 0; i < ipv4.length; i += 2) {
      if ((word & (ipv4[i + 1] as number)) === ipv4[i]) return true
    }
    return false
  }

  private hasIpv6({ w0, w1, w2, w3 }: IpAddress): boolean {
    const { ipv6 } = this
    for (let i = 0; i < ipv6.length; i += 8) {
      if (
        (w1 & (ipv6[i + 5] as number)) === ipv6[i + 1] &&
        (w0 & (ipv6[i + 4] as number)) === ipv6[i] &&
        (w2 & (ipv6[i + 6] as number)) === ipv6[i + 2] &&
        (w3 & (ipv6[i + 7] as number)) === ipv6[i + 3]
      ) {
        return true
      }
    }
    return false
  }
}
