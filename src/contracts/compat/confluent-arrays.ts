import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'
import type { JsonSchema } from '../model.ts'
import {
  below,
  type ConfluentDifference,
  type Differ,
  isEmptySchema,
} from './confluent-difference.ts'
import { restDifferences } from './confluent-objects.ts'
import type { ConfluentRule } from './confluent-rules.ts'

/** A list's schema in one form for all drafts: the items by place, and what judges the others. */
interface Items {
  readonly tuple: readonly JsonSchema[]
  readonly tupleKeyword: 'items' | 'prefixItems'
  readonly rest: JsonSchema
  readonly restKeyword: 'items' | 'additionalItems' | 'unevaluatedItems'
  /** True where every item is judged by one schema, in no tuple. */
  readonly isUniform: boolean
}

function itemsOf(schema: JsonObject): Items {
  const { items, prefixItems, additionalItems, unevaluatedItems } = schema
  if (Array.isArray(items)) {
    return {
      tuple: items as JsonSchema[],
      tupleKeyword: 'items',
      rest: (additionalItems ?? unevaluatedItems ?? true) as JsonSchema,
      restKeyword: 'additionalItems',
      isUniform: false,
    }
  }
  const isSchema = isJsonObject(items) || typeof items === 'boolean'
  return {
    tuple: Array.isArray(prefixItems) ? (prefixItems as JsonSchema[]) : [],
    tupleKeyword: 'prefixItems',
    rest: (isSchema ? items : (unevaluatedItems ?? true)) as JsonSchema,
    restKeyword: isSchema ? 'items' : 'unevaluatedItems',
    isUniform: !Array.isArray(prefixItems),
  }
}

/** Items, by the same logic of open and closed content as properties. */
export function arrayDifferences(
  differ: Differ,
  old: JsonObject,
  now: JsonObject,
  pointer: string,
): ConfluentDifference[] {
  const found = unique(old.uniqueItems, now.uniqueItems, `${pointer}/uniqueItems`)
  const [was, is] = [itemsOf(old), itemsOf(now)]
  if (was.isUniform && is.isUniform) {
    if (was.rest === is.rest) return found
    return [...found, ...differ.compare(was.rest, is.rest, `${pointer}/${is.restKeyword}`)]
  }
  const length = Math.max(was.tuple.length, is.tuple.length)
  for (let at = 0; at < length; at += 1) {
    const [before, after] = [was.tuple[at], is.tuple[at]]
    const place = below(pointer, is.tupleKeyword, at)
    if (before !== undefined && after !== undefined) {
      found.push(...differ.compare(before, after, place))
    } else if (after !== undefined) {
      found.push({ rule: added(differ, was.rest, after), pointer: place })
    } else if (before !== undefined) {
      found.push({ rule: removed(differ, before, is.rest), pointer: place })
    }
  }
  const place = { pointer: `${pointer}/${is.restKeyword}`, kind: 'ITEMS' } as const
  return [...found, ...restDifferences(differ, was.rest, is.rest, place)]
}

function unique(
  was: Json | undefined,
  is: Json | undefined,
  pointer: string,
): ConfluentDifference[] {
  if ((was === true) === (is === true)) return []
  return [{ rule: is === true ? 'UNIQUE_ITEMS_ADDED' : 'UNIQUE_ITEMS_REMOVED', pointer }]
}

function added(differ: Differ, cover: JsonSchema, after: JsonSchema): ConfluentRule {
  if (isEmptySchema(cover)) {
    return isEmptySchema(after)
      ? 'ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL'
      : 'ITEM_ADDED_TO_OPEN_CONTENT_MODEL'
  }
  if (cover === false) return 'ITEM_ADDED_TO_CLOSED_CONTENT_MODEL'
  return differ.isCompatible(cover, after)
    ? 'ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
    : 'ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
}

function removed(differ: Differ, before: JsonSchema, cover: JsonSchema): ConfluentRule {
  if (isEmptySchema(cover)) return 'ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL'
  if (cover === false) {
    return before === false
      ? 'ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL'
      : 'ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL'
  }
  return differ.isCompatible(before, cover)
    ? 'ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
    : 'ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL'
}
