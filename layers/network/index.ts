/** The network tier: packets to any address, over whichever link leads there. */
export type { Family, FamilyBlueprint, FamilyContext } from './family.ts'
export { ip, type Links, UNNAMED_LINK } from './ip.ts'
export * from './service.ts'
