-- Back to claims without the name of their group.
ALTER TABLE projector_shadow.positions DROP COLUMN group_id;
ALTER TABLE projector.positions DROP COLUMN group_id;
