-- The consumer group of the member that claimed a position. Two groups that project into one view take the positions from
-- each other: with the name of the other group, a member can say so.
ALTER TABLE projector.positions ADD COLUMN group_id TEXT;
ALTER TABLE projector_shadow.positions ADD COLUMN group_id TEXT;
