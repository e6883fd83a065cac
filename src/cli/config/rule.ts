/** One place of the configuration: what may stand there. */
export type Rule =
  | {
      readonly kind: 'text'
      readonly choices?: readonly string[]
      /** Must be a secret reference, and nothing else; `made`: also `secret://store/NAME`. */
      readonly secret?: true | 'made'
      /** May be a URL; a password in it must be a secret reference. */
      readonly url?: true
      readonly pattern?: RegExp
      readonly expected?: string
    }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  /** True or false. */
  | { readonly kind: 'truth' }
  | { readonly kind: 'duration' }
  /** Bytes: `512KiB`, or a number. */
  | { readonly kind: 'size' }
  /** A text by one rule, anything else by the other. */
  | { readonly kind: 'either'; readonly text: Rule; readonly map: Rule }
  /** A list; `orOne`: a single item may stand without brackets. */
  | { readonly kind: 'list'; readonly items: Rule; readonly orOne?: true }
  | {
      readonly kind: 'map'
      readonly keys: Readonly<Record<string, Rule>>
      readonly required?: readonly string[]
      /** Exactly one of these keys must be there. */
      readonly oneOf?: readonly string[]
      /** A key that is no use without another. */
      readonly needs?: Readonly<Record<string, string>>
    }
  /** Names of the reader's own choice. */
  | { readonly kind: 'names'; readonly values: Rule }
  /** Whatever the reader wants. */
  | { readonly kind: 'any' }
