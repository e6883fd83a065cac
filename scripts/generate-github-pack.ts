// Writes contracts/github-webhooks/github-webhooks.yaml: one event for each webhook that the official schemas
// describe. Run it after an update of @octokit/webhooks-schemas: node scripts/generate-github-pack.ts
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const packageName = '@octokit/webhooks-schemas'
const root = join(import.meta.dirname, '..')
const target = join(root, 'contracts', 'github-webhooks', 'github-webhooks.yaml')

/** What triggers each webhook and why somebody listens, in our words. */
const purposes: Readonly<Record<string, string>> = {
  branch_protection_configuration:
    'Sent when all branch protection of a repository is switched on or off, so that auditors see it.',
  branch_protection_rule:
    'Sent when a rule that protects branches is made, changed or removed, so that policy tools can compare.',
  check_run:
    'Sent when a single check of a commit starts, ends or is asked for again, so that dashboards follow it.',
  check_suite:
    'Sent when the checks of a commit are asked for or have all ended, so that merging can go on.',
  code_scanning_alert:
    'Sent when code scanning finds a weakness, or its alert changes, so that it is looked at.',
  commit_comment: 'Sent when somebody comments on a commit, so that its author hears of it.',
  create: 'Sent when a branch or tag is made, so that builds and mirrors can begin.',
  custom_property:
    'Sent when an organization defines, changes or drops a custom property, so that inventories stay right.',
  custom_property_values:
    'Sent when a repository gets other values for custom properties, so that inventories stay right.',
  delete: 'Sent when a branch or tag is deleted, so that previews and mirrors are cleared away.',
  dependabot_alert:
    'Sent when a vulnerable dependency is found, fixed or dismissed, so that somebody owns it.',
  deploy_key: 'Sent when a deploy key is added or removed, so that access reviews know.',
  deployment: 'Sent when a deployment is requested, so that a deployer can carry it out.',
  deployment_protection_rule:
    'Sent when a deployment waits for a custom protection rule, so that the rule can decide.',
  deployment_review:
    'Sent when a deployment is approved, rejected or waits for a reviewer, so that it goes on or stops.',
  deployment_status:
    'Sent when a deployment reports how far it is, so that people and later steps know.',
  discussion:
    'Sent when a discussion is opened, answered, moved or otherwise changed, so that helpers see it.',
  discussion_comment:
    'Sent when a comment of a discussion is written, edited or deleted, so that helpers see it.',
  fork: 'Sent when somebody forks a repository, so that its owners learn who builds on it.',
  github_app_authorization:
    'Sent when a person withdraws the authorization of an app, so that the app stops acting for them.',
  gollum:
    'Sent when pages of a wiki are written or changed, so that search and documentation follow.',
  installation:
    'Sent when an app is installed, suspended or removed, so that the app sets up or clears an account.',
  installation_repositories:
    'Sent when an installed app may see more or fewer repositories, so that it follows.',
  installation_target:
    'Sent when the account of an installation is renamed, so that stored names stay right.',
  issue_comment:
    'Sent when a comment of an issue or pull request is written, edited or deleted, so that bots can answer.',
  issues:
    'Sent when an issue is opened, closed, assigned, labelled or otherwise changed, so that trackers follow.',
  label:
    'Sent when a label is made, renamed or deleted, so that boards that sort by labels follow.',
  marketplace_purchase:
    'Sent when a plan of an app is bought, changed or cancelled, so that billing follows.',
  member:
    'Sent when a collaborator joins, leaves or gets another role, so that access reviews know.',
  membership: 'Sent when a person joins or leaves a team, so that access follows.',
  merge_group:
    'Sent when the merge queue wants a group of changes checked or gives it up, so that checks run.',
  meta: 'Sent when this very webhook is deleted, so that the receiver knows that no more will come.',
  milestone:
    'Sent when a milestone is made, closed, reopened, changed or deleted, so that plans follow.',
  org_block:
    'Sent when an organization blocks a person or lets them in again, so that moderation tools know.',
  organization:
    'Sent when an organization is renamed or deleted, or its members change, so that directories follow.',
  package: 'Sent when a package is published or changed, so that mirrors and scanners fetch it.',
  page_build:
    'Sent when the build of a Pages site has ended, so that its author sees whether it worked.',
  ping: 'Sent once when a webhook is set up, so that the receiver can prove that it is there.',
  project:
    'Sent when a classic project board is made, closed, reopened, changed or deleted, so that mirrors follow.',
  project_card:
    'Sent when a card of a classic project is made, moved, changed or deleted, so that mirrors follow.',
  project_column:
    'Sent when a column of a classic project is made, moved, changed or deleted, so that mirrors follow.',
  projects_v2_item:
    'Sent when an item of a project is added, moved, changed or archived, so that plans follow.',
  public: 'Sent when a private repository becomes public, so that reviewers look once more.',
  pull_request:
    'Sent when a pull request is opened, changed, reviewed, merged or closed, so that builds and boards follow.',
  pull_request_review:
    'Sent when a review is submitted, edited or dismissed, so that merging can be decided.',
  pull_request_review_comment:
    'Sent when a line of a pull request is commented on, so that its author can answer.',
  pull_request_review_thread:
    'Sent when a thread of a review is resolved or opened again, so that open questions are counted.',
  push: 'Sent when commits arrive on a branch or tag, so that builds, deployments and mirrors can begin.',
  registry_package:
    'Sent when a package of the registry is published or changed, so that mirrors and scanners fetch it.',
  release:
    'Sent when a release is drafted, published, changed or removed, so that notes and downloads follow.',
  repository:
    'Sent when a repository is made, renamed, moved, archived or deleted, so that inventories follow.',
  repository_dispatch:
    'Sent when a client of the API asks a repository to run something, so that workflows can begin.',
  repository_import:
    'Sent when the import of a repository has ended, so that whoever waits for it can go on.',
  repository_vulnerability_alert:
    'Sent when an alert about a vulnerable dependency appears or goes, so that somebody owns it.',
  secret_scanning_alert:
    'Sent when a leaked secret is found or its alert changes, so that the secret is revoked.',
  secret_scanning_alert_location:
    'Sent when a known leaked secret is found at a further place, so that it is cleared there too.',
  security_advisory:
    'Sent when an advisory is published, changed or withdrawn, so that users of the software act.',
  sponsorship:
    'Sent when a sponsorship begins, changes or ends, so that thanks and accounts follow.',
  star: 'Sent when a repository gets or loses a star, so that its owners see what people like.',
  status: 'Sent when the status of a commit changes, so that merging and dashboards follow.',
  team: 'Sent when a team is made, changed or deleted, or gets other repositories, so that access follows.',
  team_add: 'Sent when a repository is given to a team, so that access reviews know.',
  watch:
    'Sent when somebody begins to follow a repository by a star, so that its owners see what people like.',
  workflow_dispatch:
    'Sent when somebody starts a workflow by hand, so that it runs with the inputs that were given.',
  workflow_job:
    'Sent when a job of a workflow is queued, starts or ends, so that runners are scaled and people told.',
  workflow_run:
    'Sent when a run of a workflow is requested, starts or ends, so that later steps can begin.',
}

/** What our example consumers listen to, and what they read of it. */
const consumers: Readonly<
  Record<string, Readonly<Record<string, { needs: readonly string[]; handling: string }>>>
> = {
  'release-train': {
    push: {
      needs: ['ref', 'after', 'repository.full_name'],
      handling: 'Notes the newest commit of each branch.',
    },
    pull_request: { needs: [], handling: 'Notes which changes are open and which are merged.' },
    release: { needs: [], handling: 'Notes what was released.' },
    deployment_status: { needs: [], handling: 'Notes where a release has arrived.' },
    workflow_run: { needs: [], handling: 'Notes whether the build of a change passed.' },
    check_run: { needs: [], handling: 'Notes the checks of a change.' },
  },
  partners: Object.fromEntries(
    ['push', 'pull_request', 'issues', 'release', 'star', 'deployment_status'].map((name) => [
      name,
      { needs: [], handling: 'Is sent on to partners as a webhook of ours.' },
    ]),
  ),
}

interface Schema {
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, unknown>>
  readonly oneOf?: readonly { readonly $ref: string }[]
}

const schemas: { definitions: Record<string, Schema>; oneOf: { $ref: string }[] } = JSON.parse(
  readFileSync(join(root, 'node_modules', packageName, 'schema.json'), 'utf8'),
)
const { version } = JSON.parse(
  readFileSync(join(root, 'node_modules', packageName, 'package.json'), 'utf8'),
) as { version: string }

/** `#/definitions/push$event` is the webhook `push`. */
const webhooks = schemas.oneOf.map(({ $ref }) => {
  const definition = $ref.slice('#/definitions/'.length)
  return { name: definition.replace(/[$_]event$/, ''), definition }
})

const missing = webhooks.filter(({ name }) => purposes[name] === undefined)
if (missing.length > 0) {
  throw new Error(
    `these webhooks are new and need a purpose in this script: ${missing.map(({ name }) => name).join(', ')}`,
  )
}

function eventLines({ name, definition }: { name: string; definition: string }): string[] {
  return [
    `  github.${name}:`,
    '    channel: deliveries',
    `    purpose: ${purposes[name]}`,
    `    schema: npm:${packageName}/schema.json#/definitions/${definition}`,
  ]
}

function consumerLines(name: string, events: readonly string[]): string[] {
  return [
    `  ${name}:`,
    '    accepts: ^1.0.0',
    '    since: 1.0.0',
    '    events:',
    ...events,
    '    idempotency: { key: id, window: 30d }',
    '    retry: { attempts: 4, base: 100ms, factor: 2, cap: 5s, jitter: full }',
    `    deadLetter: { address: github.webhooks.${name}.dlq, retention: 30d, owner: ${name} }`,
  ]
}

const listened = Object.entries(consumers).flatMap(([consumer, events]) =>
  consumerLines(
    consumer,
    Object.entries(events).map(
      ([name, { needs, handling }]) =>
        `      github.${name}: { ${needs.length === 0 ? '' : `needs: [${needs.join(', ')}], `}handling: ${handling} }`,
    ),
  ),
)
const archived = consumerLines(
  'archive',
  webhooks.map(
    ({ name }) => `      github.${name}: { handling: Counts deliveries by kind and repository. }`,
  ),
)

const lines = [
  `# Generated by scripts/generate-github-pack.ts from ${packageName} ${version} (MIT). Do not edit.`,
  'treaty: 1',
  'id: github.webhooks',
  'version: 1.1.0',
  'status: active',
  'purpose: Brings the webhooks of GitHub onto the bus as they were sent, each checked against its official schema.',
  'design: https://docs.github.com/webhooks/webhook-events-and-payloads',
  'owner: { team: platform, contact: platform@example.com }',
  'pattern: pub-sub',
  'envelope: none',
  '',
  'channels:',
  '  deliveries: { address: github.webhooks, ordering: none, retention: 14d }',
  '',
  'events:',
  ...webhooks.flatMap(eventLines),
  '',
  '# The schemas are held as they were written: what they do not know is drift, and drift is what we want to see.',
  'evolution: { policy: strict, mode: backward }',
  '',
  'producers:',
  '  github: { onInvalid: dead-letter }',
  '',
  'consumers:',
  ...listened,
  ...archived,
  '',
  'sla:',
  '  delivery: at-least-once',
  '  latency: { percentile: 99, within: 30s }',
  '',
  'gate:',
  '  block: [breaking-change, consumer-impact, missing-error-handling]',
  '',
]
writeFileSync(target, lines.join('\n'))
process.stdout.write(`${target}: ${webhooks.length} events\n`)
