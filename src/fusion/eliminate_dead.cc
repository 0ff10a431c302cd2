// x -> Relu, whose result nobody reads  =>  x
#include "fusion/passes.h"

namespace xdn::fusion {

bool eliminate_dead(Graph& graph) { return graph.eliminate_dead() != 0; }

}  // namespace xdn::fusion
