import type { RouteSetting } from '../config/config.ts';

export type Route = RouteSetting;

/**
 * Finds the route of a request: hosts exact first, then by the longest wildcard, then routes for every host; among those of
 * one host the longest path prefix on segment borders.
 */
export type FindRoute = (host: string, path: string) => Route | undefined;

export function createRoutes(_routes: readonly RouteSetting[]): FindRoute {
  throw new Error('unwritten');
}
