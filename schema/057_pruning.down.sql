-- Back to a release that prunes nothing. What was pruned is forgotten: a record that is read again makes its row again.
DROP TRIGGER projector_refuse_pruned ON delegations;
DROP FUNCTION projector.refuse_pruned();
DROP TABLE projector.pruned;
