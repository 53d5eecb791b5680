/**
 * A reload as a plan: the steps from what a router has to what it is to have. Starting is the plan from nothing.
 *
 *   what may fail first, with all that stays untouched                ┊ then what does not
 *   − services   − links that go, with what is on them   ~ rules   + new links   ┊   − routes   − addresses   + addresses   + routes   ~ routing   + services
 *
 * Rules (policy, translation, groups) are exchanged before new links come, so that nothing comes in by these which is not meant to.
 */
import { isDeepStrictEqual } from 'node:util'
import { withoutSecrets } from '../stack/link-text.ts'
import type { RouterLink, RouterRoute, RouterState } from './config.ts'
import { changedRules, describeRulesStep, endsSessions, oppositeRulesStep, type RulesStep } from './packet-rules.ts'
import {
  afterRouting,
  changedRouting,
  describeRoutingStep,
  type RoutingStep,
  shownRoutingStep,
} from './routing-step.ts'
import { followsLinks, linksOfService, type RouterService, shownService } from './services.ts'

/** One change, which its opposite undoes. A link is added and removed bare: what is on it has steps of its own. */
export type Step =
  | RulesStep
  | RoutingStep
  | ({ readonly verb: 'add' | 'remove' } & (
      | { readonly what: 'link'; readonly link: RouterLink }
      | { readonly what: 'address'; readonly link: string; readonly address: string }
      | { readonly what: 'route'; readonly route: RouterRoute }
      | { readonly what: 'service'; readonly service: RouterService }
    ))

type Verb = Exclude<Step['verb'], 'change'>

/** The steps from one state to another, in the order to take them; none when they are the same. */
export function planned(old: RouterState, wanted: RouterState): Step[] {
  const kept = new Set(
    old.links.filter((link) => wanted.links.some((other) => sameLink(link, other))).map(({ name }) => name),
  )
  const isKept = (link: string | undefined): boolean => link === undefined || kept.has(link)
  const gone = old.links.filter(({ name }) => !kept.has(name))
  const come = wanted.links.filter(({ name }) => !kept.has(name))
  const lost = old.routes.filter((route) => !isKept(route.link) || !wanted.routes.some(equals(route)))
  const won = wanted.routes.filter((route) => !isKept(route.link) || !old.routes.some(equals(route)))
  const moves = [...kept].map((name) => moved(name, addressesOf(old, name), addressesOf(wanted, name)))
  // DHCP knows the addresses of its link, so it begins anew with them.
  const isUntouched = (service: RouterService): boolean =>
    followsLinks(service) ||
    linksOfService(service).every(
      (link) => kept.has(link) && isDeepStrictEqual(addressesOf(old, link), addressesOf(wanted, link)),
    )
  const routing = changedRouting(old.services, wanted.services)
  const goesOn = (service: RouterService, others: readonly RouterService[]): boolean =>
    (isUntouched(service) && others.some(equals(service))) ||
    routing.some((step) => step.old === service || step.wanted === service)
  const ended = old.services.filter((one) => !goesOn(one, wanted.services))
  const begun = wanted.services.filter((one) => !goesOn(one, old.services))
  const rules = changedRules(old, wanted)
  return [
    ...ended.map((service) => serviceStep('remove', service)),
    ...lost.filter(({ link }) => !isKept(link)).map((route) => routeStep('remove', route)),
    ...gone.flatMap(({ name, addresses }) => addresses.map((address) => addressStep('remove', name, address))),
    ...gone.map((link) => linkStep('remove', link)),
    ...rules.filter((step) => !endsSessions(step)),
    ...come.map((link) => linkStep('add', link)),
    ...rules.filter(endsSessions),
    ...lost.filter(({ link }) => isKept(link)).map((route) => routeStep('remove', route)),
    ...moves.flatMap(({ removed }) => removed),
    ...moves.flatMap(({ added }) => added),
    ...come.flatMap(({ name, addresses }) => addresses.map((address) => addressStep('add', name, address))),
    ...won.map((route) => routeStep('add', route)),
    ...routing,
    ...begun.map((service) => serviceStep('add', service)),
  ]
}

/** What takes a step back. */
export function opposite(step: Step): Step {
  if (step.what === 'routing') return { ...step, old: step.wanted, wanted: step.old }
  return step.verb === 'change' ? oppositeRulesStep(step) : { ...step, verb: step.verb === 'add' ? 'remove' : 'add' }
}

/** The state after a step. */
export function after(state: RouterState, step: Step): RouterState {
  if (step.what === 'routing') return { ...state, services: afterRouting(state.services, step) }
  if (step.verb === 'change') return { ...state, [step.what]: step.wanted }
  const { links, routes, services } = state
  const adds = step.verb === 'add'
  switch (step.what) {
    case 'route':
      return { ...state, routes: adds ? [...routes, step.route] : without(routes, step.route) }
    case 'service':
      return { ...state, services: adds ? [...services, step.service] : without(services, step.service) }
    case 'link': {
      const others = links.filter(({ name }) => name !== step.link.name)
      return { ...state, links: adds ? [...others, { ...step.link, addresses: [] }] : others }
    }
    case 'address': {
      const { address } = step
      const change = (all: readonly string[]): string[] => (adds ? [...all, address] : without(all, address))
      return {
        ...state,
        links: links.map((link) => (link.name === step.link ? { ...link, addresses: change(link.addresses) } : link)),
      }
    }
  }
}

const without = <Item>(items: readonly Item[], item: Item): Item[] => items.filter((other) => !equals(item)(other))

/** A step as a line of a diff; one that exchanges rules as several. */
export function describeStep(step: Step): string {
  if (step.what === 'routing') return describeRoutingStep(step)
  if (step.verb === 'change') return describeRulesStep(step)
  const sign = step.verb === 'add' ? '+' : '-'
  if (step.what === 'link') {
    const { name, text, advertise, autoconfigure } = step.link
    const told = advertise !== undefined ? ', advertised' : autoconfigure === true ? ', autoconfigured' : ''
    return `${sign} link ${name}: ${withoutSecrets(text)}${told}`
  }
  if (step.what === 'address') return `${sign} address ${step.address} on ${step.link}`
  if (step.what === 'service') return `${sign} ${step.service.kind} on ${linksOfService(step.service).join(', ')}`
  return `${sign} route ${describeRoute(step.route)}`
}

/** A step as an object for people and their programs: nobody's secrets, and a link as its text alone. */
export function shownStep(step: Step): object {
  if (step.what === 'routing') return shownRoutingStep(step)
  if (step.verb === 'change') return step
  if (step.what === 'link') {
    const { spec: _spec, text, ...link } = step.link
    return { ...step, link: { ...link, text: withoutSecrets(text) } }
  }
  return step.what === 'service' ? { ...step, service: shownService(step.service) } : step
}

export function describeRoute({ prefix, via, link, metric, action }: RouterRoute): string {
  const way = [via === undefined ? '' : ` via ${via}`, link === undefined ? '' : ` on ${link}`].join('')
  return `${prefix}${way}${metric === 0 ? '' : ` metric ${metric}`}${action === 'forward' ? '' : ` ${action}`}`
}

/** PPP tells its peer the address, so it is part of the link. */
function sameLink(one: RouterLink, other: RouterLink): boolean {
  const told = ({ spec, addresses }: RouterLink): readonly string[] => (spec.type === 'ppp' ? addresses : [])
  return (
    one.name === other.name &&
    one.faults === other.faults &&
    one.autoconfigure === other.autoconfigure &&
    isDeepStrictEqual(one.advertise, other.advertise) &&
    isDeepStrictEqual(one.spec, other.spec) &&
    isDeepStrictEqual(told(one), told(other))
  )
}

/** Addresses are in an order, so those that stay are the first of the new ones that stand in the same order now. */
function moved(link: string, old: readonly string[], wanted: readonly string[]): { removed: Step[]; added: Step[] } {
  let stay = 0
  const removed: Step[] = []
  for (const address of old) {
    if (address === wanted[stay]) stay++
    else removed.push(addressStep('remove', link, address))
  }
  return { removed, added: wanted.slice(stay).map((address) => addressStep('add', link, address)) }
}

const addressesOf = ({ links }: RouterState, name: string): readonly string[] =>
  links.find((link) => link.name === name)?.addresses ?? []
const equals =
  <Item>(item: Item) =>
  (other: Item): boolean =>
    isDeepStrictEqual(item, other)
const linkStep = (verb: Verb, link: RouterLink): Step => ({ verb, what: 'link', link })
const addressStep = (verb: Verb, link: string, address: string): Step => ({
  verb,
  what: 'address',
  link,
  address,
})
const routeStep = (verb: Verb, route: RouterRoute): Step => ({ verb, what: 'route', route })
const serviceStep = (verb: Verb, service: RouterService): Step => ({ verb, what: 'service', service })
