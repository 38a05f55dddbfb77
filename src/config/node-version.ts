/**
 * Why this Node.js may not run the gateway; undefined when it may. It uses nothing that an old one lacks.
 *
 * @param version as `process.versions.node` has it, e.g. `24.18.1`
 */
export function refusalOfNode(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const isOld = major < 24 || (major === 24 && (minor < 18 || (minor === 18 && patch < 1)));
  if (isOld) {
    return `flytegate needs Node.js 24.18.1 or a later 24, this is ${version}: older ones let hidden headers smuggle requests past the gateway (CVE-2026-58044).`;
  }
  if (major > 24)
    return `flytegate needs Node.js 24, at least 24.18.1, this is ${version}: it is tested with no later line yet.`;
  return undefined;
}
