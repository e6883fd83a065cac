/**
 * The differences that Confluent's registry tells apart between two JSON Schemas, and what each means for
 * compatibility: spec of the registry, `STRICT` (its default) and `LENIENT`. The names are those of its error texts.
 */
const bounds = [
  'MAX_LENGTH',
  'MIN_LENGTH',
  'MAXIMUM',
  'MINIMUM',
  'EXCLUSIVE_MAXIMUM',
  'EXCLUSIVE_MINIMUM',
  'MAX_PROPERTIES',
  'MIN_PROPERTIES',
  'MAX_ITEMS',
  'MIN_ITEMS',
  'MAX_CONTAINS',
  'MIN_CONTAINS',
] as const
export type Bound = (typeof bounds)[number]

/** Harmless under both policies. */
const harmless = [
  'TYPE_EXTENDED',
  'PATTERN_REMOVED',
  'MULTIPLE_OF_REMOVED',
  'MULTIPLE_OF_REDUCED',
  'REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED',
  'REQUIRED_ATTRIBUTE_REMOVED',
  'DEPENDENCY_ARRAY_NARROWED',
  'DEPENDENCY_ARRAY_REMOVED',
  'DEPENDENCY_SCHEMA_REMOVED',
  'ADDITIONAL_PROPERTIES_ADDED',
  'ADDITIONAL_PROPERTIES_EXTENDED',
  'PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL',
  'REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL',
  'OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL',
  'PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL',
  'PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL',
  'PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'UNIQUE_ITEMS_REMOVED',
  'ADDITIONAL_ITEMS_ADDED',
  'ADDITIONAL_ITEMS_EXTENDED',
  'ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL',
  'ITEM_ADDED_TO_CLOSED_CONTENT_MODEL',
  'ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL',
  'ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL',
  'ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'ENUM_ARRAY_EXTENDED',
  'COMBINED_TYPE_EXTENDED',
  'PRODUCT_TYPE_NARROWED',
  'SUM_TYPE_EXTENDED',
  'NOT_TYPE_NARROWED',
] as const

/** Breaks under `STRICT`, harmless under `LENIENT`. */
const strictOnly = [
  'ADDITIONAL_PROPERTIES_REMOVED',
  'ADDITIONAL_PROPERTIES_NARROWED',
  'PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL',
  'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL',
  'PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'ADDITIONAL_ITEMS_REMOVED',
  'ADDITIONAL_ITEMS_NARROWED',
  'ITEM_ADDED_TO_OPEN_CONTENT_MODEL',
  'ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL',
  'ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
] as const

/** Breaks under both. */
const harmful = [
  'TYPE_NARROWED',
  'TYPE_CHANGED',
  'PATTERN_ADDED',
  'PATTERN_CHANGED',
  'MULTIPLE_OF_ADDED',
  'MULTIPLE_OF_EXPANDED',
  'MULTIPLE_OF_CHANGED',
  'REQUIRED_ATTRIBUTE_ADDED',
  'REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL',
  'REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL',
  'DEPENDENCY_ARRAY_ADDED',
  'DEPENDENCY_ARRAY_EXTENDED',
  'DEPENDENCY_ARRAY_CHANGED',
  'DEPENDENCY_SCHEMA_ADDED',
  'UNIQUE_ITEMS_ADDED',
  'ENUM_ARRAY_NARROWED',
  'ENUM_ARRAY_CHANGED',
  'COMBINED_TYPE_CHANGED',
  'COMBINED_TYPE_SUBSCHEMAS_CHANGED',
  'PRODUCT_TYPE_EXTENDED',
  'SUM_TYPE_NARROWED',
  'NOT_TYPE_EXTENDED',
] as const

type BoundRule = `${Bound}_${'ADDED' | 'REMOVED' | 'INCREASED' | 'DECREASED'}`

/** The name of a difference, as Confluent's registry says it. */
export type ConfluentRule =
  | (typeof harmless)[number]
  | (typeof strictOnly)[number]
  | (typeof harmful)[number]
  | BoundRule

const harmlessRules: ReadonlySet<string> = new Set<string>(harmless)
const lenientRules: ReadonlySet<string> = new Set<string>([...harmless, ...strictOnly])

/** Every rule with a name of its own; those of bounds are made from {@link Bound}. */
export const namedRules: readonly ConfluentRule[] = [...harmless, ...strictOnly, ...harmful]

/** True when the difference leaves the schemas compatible under the policy. */
export function isHarmless(
  rule: ConfluentRule,
  policy: 'confluent-strict' | 'confluent-lenient',
): boolean {
  const bound =
    /^(MAX|MIN|EXCLUSIVE_MAX|EXCLUSIVE_MIN).*_(ADDED|REMOVED|INCREASED|DECREASED)$/.exec(rule)
  if (bound !== null) {
    const looser = bound[1]?.endsWith('MAX') === true ? 'INCREASED' : 'DECREASED'
    return bound[2] === 'REMOVED' || bound[2] === looser
  }
  return (policy === 'confluent-lenient' ? lenientRules : harmlessRules).has(rule)
}
