/** Times as failures show them. */
export const seconds = (us: number): string => `${(us / 1e6).toFixed(6)} s`
