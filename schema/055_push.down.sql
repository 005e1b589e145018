-- Back to a release that pushes no results. What was queued and told is forgotten.
DROP TRIGGER require_push ON projector.positions;
DROP FUNCTION projector.require_push();
DROP TABLE projector.outbox, projector.ends, projector.push_from, projector.push;
