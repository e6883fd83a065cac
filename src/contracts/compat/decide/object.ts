import type { Json } from '../../../core/json.ts'
import { matches } from '../automata/match.ts'
import { compileRegex } from '../automata/regex.ts'
import { setOwn } from '../formula/canonical.ts'
import type { Membership } from '../formula/membership.ts'
import { type Lit, negate, STRING, TRUE } from '../formula/store.ts'
import type { Budget } from './budget.ts'
import { EMPTY, found, type Inhabiting, type Result, type Signed } from './result.ts'
import { letters } from './string.ts'

export interface ObjectContext extends Inhabiting {
  readonly budget: Budget
  readonly membership: Membership
}

/** Some member must exist whose name and value are like this. */
interface Demand {
  readonly match: readonly string[]
  readonly avoidNames: ReadonlySet<string>
  readonly avoidSources: readonly string[]
  readonly keyLits: readonly Lit[]
  readonly lit: Lit
  readonly origin: Lit
}

/** A predicate on new names that some may satisfy and others not. */
interface Dimension {
  readonly lit: Lit
  /** Patterns that it stands for. */
  readonly sources: readonly string[]
  /** True when the member that is looked for must not satisfy it. */
  readonly never: boolean
}

const classesMax = 300
const demandsMax = 60
const membersMax = 2_000

/** What the atoms of one conjunction say about an object, by name. */
export class ObjectFacts {
  readonly required = new Map<string, Lit[]>()
  readonly forbidden = new Set<string>()
  readonly props = new Map<string, Lit[]>()
  readonly pprops: { source: string; lit: Lit }[] = []
  readonly aprops: { names: ReadonlySet<string>; sources: readonly string[]; lit: Lit }[] = []
  readonly pnames: Lit[] = []
  readonly demands: Demand[] = []
  min = 0
  max = Number.POSITIVE_INFINITY
  minLit: Lit | undefined

  constructor(atoms: readonly Signed[]) {
    for (const entry of atoms) this.#add(entry)
  }

  #add({ atom, negative, lit: origin }: Signed): void {
    const demand = (parts: Partial<Demand>) =>
      this.demands.push({
        match: [],
        avoidNames: new Set(),
        avoidSources: [],
        keyLits: [],
        lit: TRUE,
        origin,
        ...parts,
      })
    switch (atom.op) {
      case 'has':
        if (negative) this.forbidden.add(atom.key)
        else this.#require(atom.key)
        break
      case 'prop':
        if (negative) this.#require(atom.key, negate(atom.lit))
        else this.props.set(atom.key, [...(this.props.get(atom.key) ?? []), atom.lit])
        break
      case 'pprop':
        if (negative) demand({ match: [atom.source], lit: negate(atom.lit) })
        else this.pprops.push(atom)
        break
      case 'aprop':
        if (negative)
          demand({ avoidNames: atom.names, avoidSources: atom.sources, lit: negate(atom.lit) })
        else this.aprops.push(atom)
        break
      case 'pnames':
        if (negative) demand({ keyLits: [negate(atom.lit)] })
        else this.pnames.push(atom.lit)
        break
      case 'minP':
        if (negative) this.max = Math.min(this.max, atom.n - 1)
        else this.#atLeast(atom.n, origin)
        break
      case 'maxP':
        if (negative) this.#atLeast(atom.n + 1, origin)
        else this.max = Math.min(this.max, atom.n)
        break
      default:
        break
    }
  }

  #require(key: string, lit?: Lit): void {
    const lits = this.required.get(key) ?? []
    if (lit !== undefined) lits.push(lit)
    this.required.set(key, lits)
  }

  #atLeast(n: number, origin: Lit): void {
    if (n <= this.min) return
    this.min = n
    this.minLit = origin
  }

  /** What a member of this name must satisfy. */
  constraintsOn(key: string): Lit[] {
    const lits = [...(this.props.get(key) ?? [])]
    for (const { source, lit } of this.pprops) if (matches(source, key)) lits.push(lit)
    for (const { names, sources, lit } of this.aprops) {
      if (!names.has(key) && !sources.some((source) => matches(source, key))) lits.push(lit)
    }
    return lits
  }

  /** Names that some atom speaks of. */
  sight(): Set<string> {
    const names = new Set([...this.required.keys(), ...this.forbidden, ...this.props.keys()])
    for (const part of this.aprops) for (const name of part.names) names.add(name)
    for (const part of this.demands) for (const name of part.avoidNames) names.add(name)
    return names
  }
}

/** One attempt to build an object: the members chosen so far. */
class Placement {
  readonly #context: ObjectContext
  readonly facts: ObjectFacts
  readonly chosen = new Map<string, readonly Lit[]>()
  readonly #sight: ReadonlySet<string>
  readonly #sightLit: Lit
  #classes = 0
  doubt: Result | undefined

  constructor(context: ObjectContext, facts: ObjectFacts) {
    this.#context = context
    this.facts = facts
    this.#sight = facts.sight()
    const { store } = context
    this.#sightLit = negate(store.enumeration(this.#sight))
  }

  /** True when members like these can exist; doubts are kept and count as no. */
  inhabited(lits: readonly Lit[]): boolean {
    const result = this.#context.inhabit(lits)
    if (result.kind === 'doubt') this.doubt ??= result
    return result.kind === 'value'
  }

  #mayBeNamed(key: string): boolean {
    if (this.facts.forbidden.has(key)) return false
    const truth = this.#context.membership.all(this.facts.pnames, key)
    if (truth === undefined)
      this.doubt ??= this.#context.doubt(this.facts.pnames[0], 'the names of members are in doubt')
    return truth === true
  }

  require(): boolean {
    for (const [key, extra] of this.facts.required) {
      const lits = [...this.facts.constraintsOn(key), ...extra]
      if (!this.#mayBeNamed(key) || !this.inhabited(lits)) return false
      this.chosen.set(key, lits)
    }
    return true
  }

  /** Gives every demand from `at` on a member, with backtracking; then fills up to the least number. */
  place(at: number): boolean {
    this.#context.budget.tick(8)
    const { facts, chosen } = this
    const demand = facts.demands[at]
    if (demand === undefined) return this.#finish()
    for (const key of new Set([...chosen.keys(), ...this.#sight])) {
      if (!this.#suits(demand, key)) continue
      const before = chosen.get(key)
      const lits = [...(before ?? facts.constraintsOn(key)), demand.lit]
      if (
        (before === undefined && (chosen.size >= facts.max || !this.#mayBeNamed(key))) ||
        !this.inhabited(lits)
      )
        continue
      chosen.set(key, lits)
      if (this.place(at + 1)) return true
      if (before === undefined) chosen.delete(key)
      else chosen.set(key, before)
    }
    if (chosen.size >= facts.max) return false
    for (const { key, lits } of this.fresh(demand)) {
      chosen.set(key, lits)
      if (this.place(at + 1)) return true
      chosen.delete(key)
    }
    return false
  }

  #suits(demand: Demand, key: string): boolean {
    if (demand.avoidNames.has(key) || demand.avoidSources.some((source) => matches(source, key)))
      return false
    if (!demand.match.every((source) => matches(source, key))) return false
    const truth = this.#context.membership.all(demand.keyLits, key)
    if (truth === undefined)
      this.doubt ??= this.#context.doubt(demand.origin, 'the names of members are in doubt')
    return truth === true
  }

  #finish(): boolean {
    const { facts, chosen } = this
    if (chosen.size > facts.max) return false
    if (chosen.size >= facts.min) return true
    if (facts.min > membersMax) {
      this.doubt ??= this.#context.doubt(
        facts.minLit,
        'an object of so many members is too large to show',
      )
      return false
    }
    const added: string[] = []
    const add = (key: string, lits: readonly Lit[]) => {
      added.push(key)
      chosen.set(key, lits)
    }
    for (const key of this.#sight) {
      if (chosen.size >= facts.min) return true
      if (chosen.has(key) || !this.#mayBeNamed(key)) continue
      const lits = facts.constraintsOn(key)
      if (this.inhabited(lits)) add(key, lits)
    }
    if (chosen.size >= facts.min) return true
    const anyone: Demand = {
      match: [],
      avoidNames: new Set(),
      avoidSources: [],
      keyLits: [],
      lit: TRUE,
      origin: TRUE,
    }
    for (const { key, lits } of this.fresh(anyone, true)) {
      add(key, lits)
      if (chosen.size >= facts.min) return true
    }
    for (const key of added) chosen.delete(key)
    return chosen.size >= facts.min
  }

  /**
   * New names out of sight that suit, class by class: a class is what the patterns do not tell
   * apart. One name a class, or with `many` as many as there are.
   */
  *fresh(demand: Demand, many = false): Generator<{ key: string; lits: readonly Lit[] }> {
    const { facts } = this
    const dimensions = this.#dimensions(demand)
    const pattern = (source: string) => this.#context.store.atom({ op: 'pat', source })
    const keyLits = [...facts.pnames, ...demand.keyLits, ...demand.match.map(pattern)]
    if (dimensions.length === 0 && keyLits.length === 0) {
      const lits = [...this.#outside(new Set()), demand.lit]
      if (!this.inhabited(lits)) return
      for (const key of this.#plainNames()) {
        yield { key, lits }
        if (!many) return
      }
      return
    }
    const space = { dimensions, origin: demand.origin }
    const vectors = this.#vectors(space, keyLits, new Set(demand.match), 0)
    for (const matched of vectors) {
      const lits = [...this.#outside(matched.sources), demand.lit]
      if (!this.inhabited(lits)) continue
      for (const key of this.#names(matched.keyLits)) {
        yield { key, lits }
        if (!many) break
      }
    }
  }

  /** What a member out of sight must satisfy whose name matches these sources. */
  #outside(matched: ReadonlySet<string>): Lit[] {
    const { facts } = this
    return [
      ...facts.pprops.filter(({ source }) => matched.has(source)).map(({ lit }) => lit),
      ...facts.aprops
        .filter(({ sources }) => !sources.some((source) => matched.has(source)))
        .map(({ lit }) => lit),
    ]
  }

  *#plainNames(): Generator<string> {
    for (let count = 0; ; count += 1) {
      const key = letters(count, 1, 8) as string
      if (!this.#sight.has(key) && !this.chosen.has(key)) yield key
    }
  }

  /**
   * What tells new names apart: the patterns that one may match or not, and what other demands ask of
   * names, since one member may meet several demands. Patterns that ask for the same wherever they
   * stand become one expression.
   */
  #dimensions(demand: Demand): Dimension[] {
    const { store } = this.#context
    const { pprops, aprops, demands } = this.facts
    const all = new Set([
      ...pprops.map(({ source }) => source),
      ...aprops.flatMap((part) => part.sources),
      ...demands.flatMap(({ match, avoidSources }) => [...match, ...avoidSources]),
    ])
    for (const source of demand.match) all.delete(source)
    const alike = new Map<string, string[]>()
    for (const source of all) {
      const asked = pprops.filter((part) => part.source === source).map(({ lit }) => lit)
      const uses = [
        ...aprops,
        ...demands.flatMap((one) => [{ sources: one.match }, { sources: one.avoidSources }]),
      ]
      const key = `${asked.sort().join()}|${uses.map(({ sources }) => sources.includes(source)).join()}`
      alike.set(key, [...(alike.get(key) ?? []), source])
    }
    const patterns = [...alike.values()].flatMap(united).map(([source, sources]): Dimension => {
      const never = sources.some((member) => demand.avoidSources.includes(member))
      return { lit: store.atom({ op: 'pat', source }), sources, never }
    })
    const named = new Set(
      demands
        .filter((other) => other !== demand && other.keyLits.length > 0)
        .map(({ keyLits }) => store.and(keyLits)),
    )
    return [
      ...patterns,
      ...[...named].map((lit): Dimension => ({ lit, sources: [], never: false })),
    ]
  }

  /** The inhabited sign vectors over the dimensions, depth first; few matches before many. */
  *#vectors(
    space: { readonly dimensions: readonly Dimension[]; readonly origin: Lit },
    keyLits: readonly Lit[],
    matched: ReadonlySet<string>,
    at: number,
  ): Generator<{ sources: ReadonlySet<string>; keyLits: readonly Lit[] }> {
    const { store } = this.#context
    if (!this.inhabited([store.type(STRING), this.#sightLit, ...keyLits])) return
    const dimension = space.dimensions[at]
    if (dimension === undefined) {
      this.#classes += 1
      if (this.#classes <= classesMax) yield { sources: matched, keyLits }
      else {
        const blamed = space.origin === TRUE ? undefined : space.origin
        this.doubt ??= this.#context.doubt(blamed, 'too many patterns overlap')
      }
      return
    }
    if (this.#classes > classesMax) return
    const { lit, sources, never } = dimension
    yield* this.#vectors(space, [...keyLits, negate(lit)], matched, at + 1)
    if (never) return
    yield* this.#vectors(space, [...keyLits, lit], new Set([...matched, ...sources]), at + 1)
  }

  /** Names of one class, each another. */
  *#names(keyLits: readonly Lit[]): Generator<string> {
    const { store } = this.#context
    const used = new Set(this.#sight)
    for (const key of this.chosen.keys()) used.add(key)
    for (;;) {
      const result = this.#context.inhabit([
        store.type(STRING),
        negate(store.enumeration(used)),
        ...keyLits,
      ])
      if (result.kind === 'doubt') this.doubt ??= result
      if (result.kind !== 'value') return
      yield result.value as string
      used.add(result.value as string)
    }
  }
}

/** One expression for several, where they can stand side by side; else each for itself. */
function united(sources: readonly string[]): [string, readonly string[]][] {
  const apart = sources.map((source): [string, readonly string[]] => [source, [source]])
  if (sources.length < 2 || sources.some((source) => /\\[1-9k]|\(\?</.test(source))) return apart
  const source = sources.map((one) => `(?:${one})`).join('|')
  const flags = new Set([source, ...sources].map((one) => compileRegex(one)?.flags))
  return flags.size === 1 && !flags.has(undefined) ? [[source, sources]] : apart
}

/** An object that satisfies the atoms: required members only, as few as can be. */
export function solveObject(context: ObjectContext, atoms: readonly Signed[]): Result {
  const facts = new ObjectFacts(atoms)
  if (facts.min > facts.max || facts.required.size > facts.max) return EMPTY
  if (facts.demands.length > demandsMax)
    return context.doubt(facts.demands[0]?.origin, 'too many members are asked for at once')
  const placement = new Placement(context, facts)
  if (!placement.require() || !placement.place(0)) return placement.doubt ?? EMPTY
  const value: Record<string, Json> = {}
  for (const [key, lits] of placement.chosen) {
    const member = context.inhabit(lits)
    if (member.kind !== 'value') return member
    setOwn(value, key, member.value)
  }
  return found(value)
}
