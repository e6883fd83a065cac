/**
 * How strictly ids are read (spec of the 25 events): `default` wants UUIDs for `id` and `correlation_id`;
 * `seed-compat` also takes another `correlation_id` in the domain `system`, with a warning; `strict-ids`
 * wants UUIDs in every `*_id` of the data except those that are slugs by nature.
 */
export type Profile = 'default' | 'seed-compat' | 'strict-ids'
export const profiles: readonly Profile[] = ['default', 'seed-compat', 'strict-ids']
