/** What happened so far, in the script's notation, for those who have to understand a failure. */
const SHOWN = 30

export class Trace {
  private readonly lines: string[] = []
  private forgotten = 0

  /** @param at microseconds since the script began. */
  add(at: number, what: string): void {
    if (this.lines.length === SHOWN) {
      this.lines.shift()
      this.forgotten++
    }
    this.lines.push(`${(at / 1e6).toFixed(6).padStart(11)} ${what}`)
  }

  toString(): string {
    const before = this.forgotten > 0 ? [`  … ${this.forgotten} before`] : []
    return [...before, ...this.lines].join('\n')
  }
}
