-- Back to a release that prunes and erases nothing. What was pruned is forgotten: a record that is read again makes its row
-- again. What was erased is forgotten: a rebuild brings the texts back.
DROP TRIGGER projector_refuse_pruned ON delegations;
DROP FUNCTION projector.refuse_pruned();
DROP TABLE projector.pruned, projector.erased;
