import type { Json } from '../../../core/json.ts'
import { type Lit, negate } from '../formula/store.ts'
import { type ArrayContext, distinctValues, type Slot } from './distinct.ts'
import { EMPTY, found, type Result, type Signed } from './result.ts'

/** Some item from `from` on must satisfy `lit`; demands of one group sit at different places. */
interface Demand {
  readonly from: number
  readonly lit: Lit
  readonly group: number
}

interface Limit {
  readonly lit: Lit
  readonly n: number
  readonly origin: Lit
}

const demandsMax = 60
const itemsMax = 200_000
const distinctMax = 400
const limitsMax = 5

/** What the atoms of one conjunction say about an array, by place. */
class ArrayFacts {
  min = 0
  max = Number.POSITIVE_INFINITY
  readonly fixed = new Map<number, Lit[]>()
  readonly rest: { from: number; lit: Lit }[] = []
  readonly demands: Demand[] = []
  readonly limits: Limit[] = []
  distinct = false
  repeated = false
  first: Lit | undefined
  #least = new Map<Lit, number>()

  constructor(atoms: readonly Signed[]) {
    for (const entry of atoms) this.#add(entry)
    let group = this.demands.length
    for (const [lit, n] of this.#least) {
      for (let count = 0; count < Math.min(n, demandsMax + 1); count += 1)
        this.demands.push({ from: 0, lit, group })
      group += 1
      this.min = Math.max(this.min, n)
    }
  }

  #add({ atom, negative, lit }: Signed): void {
    this.first ??= lit
    const least = (n: number) => {
      this.min = Math.max(this.min, n)
    }
    const most = (n: number) => {
      this.max = Math.min(this.max, n)
    }
    switch (atom.op) {
      case 'minI':
        if (negative) most(atom.n - 1)
        else least(atom.n)
        return
      case 'maxI':
        if (negative) least(atom.n + 1)
        else most(atom.n)
        return
      case 'item':
        this.fixed.set(atom.index, [
          ...(this.fixed.get(atom.index) ?? []),
          negative ? negate(atom.lit) : atom.lit,
        ])
        if (negative) least(atom.index + 1)
        return
      case 'items':
        if (negative) {
          this.demands.push({ from: atom.from, lit: negate(atom.lit), group: this.demands.length })
          least(atom.from + 1)
        } else this.rest.push(atom)
        return
      case 'cmin':
      case 'cmax':
        if ((atom.op === 'cmin') !== negative)
          this.#contains(atom.lit, negative ? atom.n + 1 : atom.n)
        else this.limits.push({ lit: atom.lit, n: negative ? atom.n - 1 : atom.n, origin: lit })
        return
      case 'uniq':
        if (negative) this.repeated = true
        else this.distinct = true
        return
      default:
    }
  }

  /** Of several least numbers of the same items the greatest says all. */
  #contains(lit: Lit, n: number): void {
    this.#least.set(lit, Math.max(n, this.#least.get(lit) ?? 0))
  }

  at(index: number): Lit[] {
    return [
      ...(this.fixed.get(index) ?? []),
      ...this.rest.filter(({ from }) => from <= index).map(({ lit }) => lit),
    ]
  }

  /** From here on all places are alike. */
  get prefix(): number {
    return Math.max(
      0,
      ...[...this.fixed.keys()].map((index) => index + 1),
      ...this.rest.map(({ from }) => from),
    )
  }
}

class Attempt {
  readonly #context: ArrayContext
  readonly #facts: ArrayFacts
  readonly #prefix: number
  doubt: Result | undefined

  constructor(context: ArrayContext, facts: ArrayFacts) {
    this.#context = context
    this.#facts = facts
    this.#prefix = facts.prefix
  }

  inhabited(lits: readonly Lit[]): boolean {
    const result = this.#context.inhabit(lits)
    if (result.kind === 'doubt') this.doubt ??= result
    return result.kind === 'value'
  }

  unsure(lit: Lit | undefined, reason: string): undefined {
    this.doubt ??= this.#context.doubt(lit, reason)
    return undefined
  }

  run(): Json[] | undefined {
    const facts = this.#facts
    const prefix = this.#prefix
    let least = facts.min
    if (facts.repeated) least = Math.max(least, 2)
    const spare = facts.demands.length + (facts.repeated ? 2 : 0)
    const most = Math.max(least, prefix + spare)
    // No place beyond the prefix differs from the first one there.
    let cap = facts.max
    for (let index = 0; index <= Math.min(prefix, cap - 1, most - 1); index += 1)
      if (!this.inhabited(facts.at(index))) cap = index
    if (least > cap) return undefined
    for (let length = least; length <= Math.min(cap, most); length += 1) {
      this.#context.budget.tick(8)
      if (length > itemsMax) return this.#tooLong()
      const result = this.#ofLength(length)
      if (result !== undefined) return result
      if (facts.demands.length === 0 && !facts.repeated) return undefined
    }
    return undefined
  }

  /** No array of this length is written out; but if a short one of the same kind is impossible, so is this. */
  #tooLong(): undefined {
    const facts = this.#facts
    const alike = !facts.distinct && facts.limits.length === 0
    const short = this.#prefix + facts.demands.length + 2
    if (alike && this.#ofLength(short) === undefined) return undefined
    return this.unsure(facts.first, 'an array of so many items is too long to show')
  }

  #ofLength(length: number): Json[] | undefined {
    const explicit = Math.min(length, this.#prefix + this.#facts.demands.length + 2)
    const places = Array.from({ length: explicit }, (_, index) => this.#facts.at(index))
    return this.#place(0, places, new Map(), length)
  }

  /** Gives every demand from `at` on a place, with backtracking. `last`: group → its last place. */
  #place(
    at: number,
    places: Lit[][],
    last: ReadonlyMap<number, number>,
    length: number,
  ): Json[] | undefined {
    this.#context.budget.tick(8)
    const demand = this.#facts.demands[at]
    if (demand === undefined) return this.#fill(places, length)
    const from = Math.max(demand.from, (last.get(demand.group) ?? -1) + 1)
    let triedFresh = false
    for (let index = from; index < places.length; index += 1) {
      const lits = places[index] as Lit[]
      const fresh = index >= this.#prefix && lits.length === this.#facts.at(index).length
      if (fresh && triedFresh) continue
      triedFresh ||= fresh
      const more = lits.includes(demand.lit) ? lits : [...lits, demand.lit]
      if (more !== lits && !this.inhabited(more)) continue
      const result = this.#place(
        at + 1,
        places.with(index, more),
        new Map([...last, [demand.group, index]]),
        length,
      )
      if (result !== undefined) return result
    }
    return undefined
  }

  #fill(places: readonly Lit[][], length: number): Json[] | undefined {
    const slots: Slot[] = places.map((lits, index) => ({ lits, places: [index] }))
    const { repeated } = this.#facts
    if (length > places.length) {
      const indices = Array.from({ length: length - places.length }, (_, at) => places.length + at)
      const lits = this.#facts.at(places.length)
      if (this.#facts.limits.length === 0) slots.push({ lits, places: indices })
      else if (length > distinctMax)
        return this.unsure(this.#facts.first, 'too many items are counted')
      else slots.push(...indices.map((index) => ({ lits, places: [index] })))
    }
    if (!repeated) return this.#count(slots, length)
    for (const merged of pairs(slots)) {
      const joint = merged.at(-1) as Slot
      if (!this.inhabited(joint.lits)) continue
      const result = this.#count(merged, length)
      if (result !== undefined) return result
    }
    return undefined
  }

  /** Keeps the numbers of items that may match within their limits. */
  #count(slots: readonly Slot[], length: number): Json[] | undefined {
    const { limits } = this.#facts
    if (limits.length === 0) return this.#values(slots, length)
    const none = limits.map(({ lit }) => negate(lit))
    const plain = slots.map(({ lits, places }) => ({ lits: [...lits, ...none], places }))
    if (plain.every(({ lits }) => this.inhabited(lits))) {
      const result = this.#values(plain, length)
      if (result !== undefined || !this.#facts.distinct) return result
    }
    if (limits.length > limitsMax)
      return this.unsure(limits[0]?.origin, 'too many limits on what the array contains')
    return this.#choose(slots, length, {
      at: 0,
      counts: limits.map(() => 0),
      picked: [],
      failed: new Set(),
    })
  }

  #choose(
    slots: readonly Slot[],
    length: number,
    state: { at: number; counts: readonly number[]; picked: Slot[]; failed: Set<string> },
  ): Json[] | undefined {
    this.#context.budget.tick(8)
    const { limits } = this.#facts
    const slot = slots[state.at]
    if (slot === undefined) return this.#values(state.picked, length)
    const key = `${state.at}:${state.counts.join()}`
    if (state.failed.has(key)) return undefined
    const minimal: number[] = []
    for (let bits = 0; bits < 1 << limits.length; bits += 1) {
      if (minimal.some((less) => (less & bits) === less) && !this.#facts.distinct) continue
      const counts = state.counts.map(
        (count, at) => count + ((bits >> at) & 1) * slot.places.length,
      )
      if (counts.some((count, at) => count > (limits[at] as Limit).n)) continue
      const lits = [
        ...slot.lits,
        ...limits.flatMap(({ lit }, at) => (((bits >> at) & 1) === 0 ? [negate(lit)] : [])),
      ]
      if (!this.inhabited(lits)) continue
      minimal.push(bits)
      const result = this.#choose(slots, length, {
        ...state,
        at: state.at + 1,
        counts,
        picked: [...state.picked, { lits, places: slot.places }],
      })
      if (result !== undefined) return result
    }
    if (!this.#facts.distinct) state.failed.add(key)
    return undefined
  }

  #values(slots: readonly Slot[], length: number): Json[] | undefined {
    const items: Json[] = new Array(length)
    if (this.#facts.distinct && length > 1) {
      const values = distinctValues(this.#context, slots, distinctMax)
      if (!Array.isArray(values)) {
        if (values !== undefined) this.doubt ??= values as Result
        return undefined
      }
      for (const [index, value] of values.entries()) items[index] = value
      return items
    }
    for (const { lits, places } of slots) {
      const result = this.#context.inhabit(lits)
      if (result.kind === 'doubt') this.doubt ??= result
      if (result.kind !== 'value') return undefined
      for (const index of places) items[index] = result.value
    }
    return items
  }
}

/** Every way to make two places equal: the two become one slot, the last of the list. */
function* pairs(slots: readonly Slot[]): Generator<Slot[]> {
  for (const slot of slots)
    if (slot.places.length > 1) {
      yield [...slots.filter((other) => other !== slot), slot]
    }
  for (const [at, a] of slots.entries()) {
    for (const b of slots.slice(at + 1)) {
      const rest = slots.filter((other) => other !== a && other !== b)
      const [first, ...others] = b.places
      const left = others.length === 0 ? [] : [{ lits: b.lits, places: others }]
      yield [
        ...rest,
        ...left,
        { lits: [...new Set([...a.lits, ...b.lits])], places: [...a.places, first as number] },
      ]
    }
  }
}

/** An array that satisfies the atoms: as short as can be. */
export function solveArray(context: ArrayContext, atoms: readonly Signed[]): Result {
  const facts = new ArrayFacts(atoms)
  if (facts.min > facts.max || (facts.distinct && facts.repeated)) return EMPTY
  if (facts.demands.length > demandsMax)
    return context.doubt(facts.first, 'too many items are asked for at once')
  const attempt = new Attempt(context, facts)
  const items = attempt.run()
  return items === undefined ? (attempt.doubt ?? EMPTY) : found(items)
}
