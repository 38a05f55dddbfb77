/** The demo's projects, alike for everybody and in every API. */
export const projects = [
  { id: 'flytesnacks', name: 'Snacks', domains: domains('development', 'staging', 'production') },
  { id: 'forecasts', name: 'Forecasts', domains: domains('development') },
];

function domains(...names: readonly string[]) {
  return names.map((name) => ({ id: name, name }));
}
