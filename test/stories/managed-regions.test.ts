// Servers of a region that swallow, hang and flap, with a manager in front of those of each region.

import t from 'tap';
import { tellFaultStories } from '../rig/fault-stories.ts';
import { startFleet } from '../rig/fleet.ts';
import { deployManaged } from '../rig/managed.ts';

const fleet = await startFleet(t, { regions: ['eu', 'us'] });

tellFaultStories(t, { fleet, deploy: deployManaged }, ['F3', 'F4', 'F6']);
