/** Chance, as the stack sees it, and the deterministic generator of simulations. */

export interface Random {
  /** Uniform over 0 to 2^32 - 1. */
  uint32(): number
  /** `n` octets, newly allocated. */
  octets(n: number): Uint8Array
}

/** Uniform over [0, 1), from 32 bits. */
export function fraction(random: Random): number {
  return random.uint32() / 0x1_0000_0000
}

/** Uniform over the integers 0 to n - 1. @param n 1 to 2^32. The bias is below n / 2^32. */
export function below(random: Random, n: number): number {
  return Math.floor(fraction(random) * n)
}

/** xoshiro128** 1.1 (Blackman and Vigna 2018): fast, 128 bits of state, not for secrets. */
export class SeededRandom implements Random {
  private a: number
  private b: number
  private c: number
  private d: number

  /** @param seed four 32-bit words, not all 0. */
  constructor(seed: readonly [number, number, number, number]) {
    this.a = seed[0] | 0
    this.b = seed[1] | 0
    this.c = seed[2] | 0
    this.d = seed[3] | 0
    if ((this.a | this.b | this.c | this.d) === 0) this.d = 1
  }

  uint32(): number {
    const times5 = Math.imul(this.b, 5)
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9)
    const shifted = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= shifted
    this.d = (this.d << 11) | (this.d >>> 21)
    return result >>> 0
  }

  octets(n: number): Uint8Array {
    const octets = new Uint8Array(n)
    for (let i = 0; i < n; i++) octets[i] = this.uint32() >>> 24
    return octets
  }
}
